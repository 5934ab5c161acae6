"""Which path and query may be opened in a sandbox: one rule for both programs."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

PATH_LIMIT = 3500
"""Longest path and query inside a sandbox, in bytes: `TICKETS_AT_ONCE` of them fit into the body of one claim call,
since none of the characters that they may hold is longer in JSON.
"""


_STANDS_FOR_ITSELF = "!$%&'()*+,/:;=?@[]^`{|}~"
"""Beside letters, digits and `_.-`. Not all of them should stand in an address, but browsers send them."""


_PATH = re.compile(f"/[A-Za-z0-9_.{re.escape(_STANDS_FOR_ITSELF)}-]*")


_NO_NAME = re.compile(r"[\x00-\x1f\x7f\\]")


def path_problem(path: str) -> str:
    """Why this is no path and query inside a sandbox, as an address holds it; empty if it is one.

    One rule for both sides: what a redirector lets pass and its nodes refuse would make them look unwell.
    """
    if len(path) > PATH_LIMIT or not _PATH.fullmatch(path):
        return f"path must begin with / and be written as in an address, at most {PATH_LIMIT} characters long"
    try:
        decoded = unquote_to_bytes(path.partition("?")[0]).decode()
    except UnicodeDecodeError:
        return "path must be UTF-8"
    if any(segment in (".", "..") for segment in decoded.split("/")):
        return "path must not hold . or .. as a segment"
    if _NO_NAME.search(decoded):
        return "path must not hold control characters or backslashes"
    return ""


def as_written(sent: bytes) -> str:
    """A path and query as an address holds it: what a client sent unencoded and no address may hold is encoded."""
    return quote(sent, safe=_STANDS_FOR_ITSELF)
