"""Write docs/settings.md from the settings tables that the programs read: `make docs`. A test holds that it is current.

Prints to standard output; the tables are the only source, so that there is one place to change a setting's words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from node_agent.settings import table as node
from redirector.settings import table as redirector
from tmpnb_common.settings import Setting

HEAD = """\
# Settings

Written by `make docs` from the tables in `redirector/settings` and `node_agent/settings`; change it there.

Settings come from the environment: a compose file's `.env`, a systemd unit's `EnvironmentFile`, or your shell. They are
read at start, everything that is wrong is said at once, and then nothing starts. `tmpnb-agent config check` says it
without starting.
"""

OPERATORS = """\
## Operators' `tmpnb`

| variable | default | meaning |
|---|---|---|
| `TMPNB_URL` | none | The redirector's address; `--url` goes before it. |
| `TMPNB_TOKEN` | none | The admin token. |
| `TMPNB_TOKEN_FILE` | none | A file with the admin token in its first line, instead of `TMPNB_TOKEN`. |
| `TMPNB_OPERATOR` | this user | Who changes something; `--by` goes before it, a named token before both. |
| `TMPNB_ZONE` | `TZ`, or this machine's | The zone of times that are typed and shown, such as `Europe/Berlin`. |
| `TMPNB_STATE` | `.tmpnb` | The state directory of a `tmpnb up`: its address and token, where none is given. |
"""

OTHERS = """\
## Variables of the programs underneath

| variable | meaning |
|---|---|
| `SSL_CERT_FILE` | Authorities, as a PEM file, that redirector and agent trust beside the system's. |
| `REQUESTS_CA_BUNDLE` | The same for operators' `tmpnb`. |
| `DOCKER_HOST` | Not read. Sandboxes need the engine of the agent's own host: their sockets are files on it. |
"""


def page() -> str:
    return "\n".join(
        [
            HEAD,
            "## Redirector (`tmpnb serve`)\n",
            *table((row.variable, code(row), row.unit, row.reason) for row in redirector.TABLE),
            "",
            "## Node (`tmpnb-agent serve` and `tmpnb-agent proxy`)\n",
            "Words in capitals as a default stand for another setting. Both programs need the same settings.\n",
            *table((row.variable, row.shown_default, row.unit, row.reason) for row in node.TABLE),
            "",
            OPERATORS,
            OTHERS,
        ]
    )


def table(rows: Iterable[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| variable | default | unit | meaning |"
    yield "|---|---|---|---|"
    for name, default, unit, reason in rows:
        cells = (f"`{name}`", default, unit, reason)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def code(row: Setting) -> str:
    return f"`{row.default}`" if row.default else row.shown_default


if __name__ == "__main__":
    sys.stdout.write(page())
