"""Which paths are a visitor's, and what each means inside a sandbox. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

from node_agent.wire import path_problem

PREFIXES = ("lab", "tree", "notebooks", "files", "edit", "consoles", "terminals", "doc", "nbclassic")
"""First parts of the paths under which Jupyter's pages live."""

STALE = re.compile(r"/user/[^/]+(?P<inner>/.*)?", re.DOTALL)

SAFE = "/~!$&'()*+,;=:@"
"""What stands for itself in a path, beside letters, digits and `_.-`."""


def inner_path(path: str, query: str) -> str | None:
    """The path and query to open inside the sandbox; None if no visitor means this path.

    Args:
        path: as the server decoded it, such as `/lab/tree/Ä.ipynb`. A `/user/<key>/…` of a sandbox that is no more
            stands for the same place in a fresh one.
        query: as it came, without the question mark.
    """
    stale = STALE.fullmatch(path)
    inner = path if stale is None else stale["inner"] or ""
    segments = inner.split("/")
    if any(segment in (".", "..") for segment in segments) or not inner.isprintable() or "\\" in inner:
        return None
    if inner in ("", "/"):
        return f"?{query}" if query else ""
    if stale is None and segments[1] not in PREFIXES:
        return None
    return quote(inner, safe=SAFE) + (f"?{query}" if query else "")


def is_inner_path(text: str) -> bool:
    """Whether a program's text is a path and query that may stand in a sandbox's URL as it is."""
    # A node takes more, but these have no business in a header or a page.
    return not path_problem(text) and not text.startswith("//") and not any(character in text for character in '"<>')
