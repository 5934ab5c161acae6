"""Which addresses at an entry lead to a page inside a fresh sandbox: one reading for nodes and redirectors. Pure.

Any other address is a 404 and takes nothing, since scanners ask for a lot. Nodes say in their stats what theirs are
beyond the ones here, so that a fleet's entry and its nodes never disagree. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

PREFIXES = frozenset(
    (
        # Jupyter's own pages.
        *("lab", "tree", "notebooks", "files", "edit", "consoles", "terminals", "doc", "nbclassic", "retro"),
        # Those of applications that Jupyter serves or stands before as a proxy.
        *(
            "voila",
            "panel",
            "proxy",
            "rstudio",
            "shiny",
            "vscode",
            "code-server",
            "codeserver",
            "streamlit",
        ),
        *("dash", "bokeh", "desktop", "theia", "pluto", "openrefine", "matlab"),
    )
)
"""First parts of the paths under which they live."""

PREFIX = re.compile(r"[A-Za-z0-9_.~-]{1,40}")
MOST_PREFIXES = 64
"""That a node may have beyond those."""

ANYWHERE = re.compile(r"/(?:fresh|user/[^/]+|hub/user-redirect)(?P<inner>/.*)?", re.DOTALL)
"""What stands for any place in a fresh sandbox: where the page of one that has ended leads, the address of a sandbox
that is no more, and JupyterHub's way to say "in whatever server is yours".
"""


def path_inside(path: str, further: Container[str] = ()) -> str | None:
    """The path inside a sandbox that an entry's path means: empty for where the pool lands, None if it means none."""
    anywhere = ANYWHERE.fullmatch(path)
    inner = path if anywhere is None else anywhere["inner"] or ""
    if inner in ("", "/"):
        return ""
    first = first_part(inner)
    return inner if anywhere is not None or first in PREFIXES or first in further else None


def first_part(path: str) -> str:
    """What a path such as `/voila/render/app.ipynb?x` begins with."""
    return path.partition("?")[0].split("/")[1]


def prefixes_beyond(configured: Iterable[str], landings: Iterable[str]) -> tuple[str, ...]:
    """What a node lets visitors in at beyond `PREFIXES`: what its settings name, and where its pools land."""
    parts = {*configured, *(first_part(landing) for landing in landings if landing)} - PREFIXES
    return tuple(sorted(part for part in parts if PREFIX.fullmatch(part)))[:MOST_PREFIXES]
