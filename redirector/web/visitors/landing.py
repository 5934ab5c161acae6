"""Which paths are a visitor's, and what each means inside a sandbox. Pure."""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import quote

from tmpnb_common.landing import path_inside
from tmpnb_common.paths import path_problem

NOT_UTF8 = "\ufffd"
"""Stands where the server could not decode an address."""

SAFE = "/~!$&'()*+,;=:@"
"""What stands for itself in a path, beside letters, digits and `_.-`."""


def inner_path(path: str, query: str, further: Container[str] = ()) -> str | None:
    """The path and query to open inside the sandbox; None if no visitor means this path. Its form is not judged here.

    Args:
        path: as the server decoded it, such as `/lab/tree/Ä.ipynb`. A `/user/<key>/…` of a sandbox that is no more
            stands for the same place in a fresh one.
        query: as an address holds it, without the question mark.
        further: first parts of paths that lead inside as well.
    """
    inner = path_inside(path, further)
    if inner is None or NOT_UTF8 in inner:
        return None
    return quote(inner, safe=SAFE) + (f"?{query}" if query else "")


def is_inner_path(text: str) -> bool:
    """Whether a program's text is a path and query that may stand in a sandbox's URL as it is."""
    return not path_problem(text) and not text.startswith("//")
