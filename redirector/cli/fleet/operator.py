"""Who acts, for the fleet's history: as they say, else whose terminal this is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from redirector.cli.terminal.exits import Exit, Stop
from redirector.model.operators import name_problem

SERVICE_USERS = frozenset({"root", "tmpnb"})
"""Names that tell nobody apart: whoever came by way of sudo is somebody else."""


def operator(given: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The operator's name: what `--by` gives, else `TMPNB_OPERATOR`, else the user of this machine.

    Raises:
        Stop: what was given is no name.
    """
    for source, name in (("--by", given), ("TMPNB_OPERATOR", environ.get("TMPNB_OPERATOR") or None)):
        if name is not None:
            if problem := name_problem(name):
                raise Stop(f"{source} {name!r:.80} {problem}", Exit.USAGE)
            return name
    user = _user()
    sudoer = environ.get("SUDO_USER", "")
    return sudoer if user in SERVICE_USERS and sudoer and not name_problem(sudoer) else user


def _user() -> str:
    """The name of this process's user, or at least a number."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
