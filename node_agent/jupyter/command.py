"""The command that starts a sandbox's Jupyter server: a template, as tmpnb had it, expanded into arguments."""

from __future__ import annotations

import shlex
import string
from collections.abc import Sequence

PLACEHOLDERS = frozenset({"server", "base_path", "socket", "home", "landing", "static", "static_id"})

_SHARED = frozenset({"static", "static_id"})
"""Without a value where an image's browser files are not shared: words that hold one are left out then."""

_LAB_WORDS = (
    "{server}",
    "--no-browser",
    # A container's only user may be root; Jupyter would refuse.
    "--allow-root",
    "--ServerApp.sock={socket}",
    # nginx runs as another user; nobody else can reach the run directory.
    "--ServerApp.sock_mode=0666",
    "--ServerApp.base_url={base_path}",
    "--ServerApp.default_url={landing}",
    "--ServerApp.root_dir={home}",
    # The URL is the capability: no token, no login, no cookie, so that it works inside other sites' frames.
    "--IdentityProvider.token=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.allow_remote_access=True",
    # nginx owns CORS and looks at the Origin of websockets itself.
    "--ServerApp.allow_origin=*",
    "--ServerApp.quit_button=False",
    # Keeps websockets alive through every proxy on the way.
    "--ServerApp.websocket_ping_interval=30",
    # INFO would write the address, and with it the key, into the sandbox's log.
    "--ServerApp.log_level=WARN",
    # A sandbox without a network would wait in vain for news.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    # The same address for every sandbox of an image, so that browsers keep what they have loaded.
    "--LabApp.override_static_url={static}/lab",
    # nginx sends those on to the same place that it has there; what a visitor installs comes from the sandbox itself.
    "--LabServerApp.labextensions_url=/lab/extensions/@{static_id}",
)

JUPYTER_LAB = " ".join(_LAB_WORDS)
"""The template for JupyterLab. `{server}` is whatever starts it: `jupyter lab` or a runtime's own launcher."""


def problem(template: str) -> str:
    """Why this template cannot be used; empty when it can."""
    try:
        words = shlex.split(template)
        fields = [field for word in words for field in string.Formatter().parse(word)]
    except ValueError as error:
        return f"it cannot be split into arguments: {error}"
    if not words:
        return "it is empty"
    named = {name for _, name, _, _ in fields if name is not None}
    if unknown := sorted(named - PLACEHOLDERS):
        return f"unknown placeholder {{{unknown[0]}}}; there are {_listed(PLACEHOLDERS)}"
    if any(spec or conversion for _, _, spec, conversion in fields):
        return "placeholders take no format"
    if missing := sorted({"base_path", "socket"} - named):
        return f"{_listed(missing)} must be in it, or nobody can reach the server"
    return ""


def shares(template: str) -> bool:
    """Whether servers that this template starts can be told of shared browser files."""
    return any(_fields(word) & _SHARED for word in shlex.split(template))


def expand(
    template: str,
    *,
    server: Sequence[str],
    base_path: str,
    socket: str,
    home: str,
    landing: str,
    static: str = "",
) -> list[str]:
    """The arguments that start one sandbox's server. `static` is the address of its image's shared browser files.

    The template is split first and expanded after, so no value can add an argument. Only the word `{server}` becomes
    several: it is replaced by the words of `server`.

    Raises:
        ValueError: the template has a `problem`.
    """
    if reason := problem(template):
        raise ValueError(reason)
    values = {
        "server": shlex.join(server),
        "base_path": base_path,
        "socket": socket,
        "home": home,
        "landing": landing,
        "static": static,
        "static_id": static.rpartition("/")[2],
    }
    argv: list[str] = []
    for word in shlex.split(template):
        if not static and _fields(word) & _SHARED:
            continue
        argv.extend(server if word == "{server}" else [word.format_map(values)])
    return argv


def _fields(word: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(word)}


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
