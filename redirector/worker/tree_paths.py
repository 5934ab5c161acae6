"""Paths of files and targets of links in what a source holds, checked."""

from __future__ import annotations

from redirector.worker.errors import TreeError

NAME_BYTES, PATH_BYTES = 255, 1024
"""The longest name of a file, as file systems have it, and the longest path."""

LINK_BYTES = 1024
"""The longest target of a link."""


def checked_path(raw: bytes | str) -> str:
    """The path of a file in a tree, as text.

    Raises:
        TreeError: it is not UTF-8, leads out of the tree, or holds what no file's name should.
    """
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        encoded = text.encode()
    except UnicodeError:
        raise TreeError(f"the name {raw!r:.80} is not UTF-8") from None
    if text.startswith("/"):
        raise TreeError(f"{shown_path(text)} is an absolute path")
    parts = text.split("/")
    if ".." in parts:
        raise TreeError(f"{shown_path(text)} leads out of the tree")
    if "" in parts or "." in parts or "\\" in text or not all(char >= " " and char != "\x7f" for char in text):
        raise TreeError(f"{shown_path(text)} is no name of a file")
    if len(encoded) > PATH_BYTES or any(len(part.encode()) > NAME_BYTES for part in parts):
        raise TreeError(f"{shown_path(text)} is too long a name")
    return text


def checked_target(raw: bytes | str) -> str:
    """Where a link leads, as text.

    Raises:
        TreeError: it is not UTF-8, empty or too long.
    """
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        size = len(text.encode())
    except UnicodeError:
        raise TreeError(f"the link to {raw!r:.80} is not UTF-8") from None
    if not text or "\0" in text or size > LINK_BYTES:
        raise TreeError(f"the link to {text!r:.80} leads nowhere")
    return text


def shown_path(path: str) -> str:
    """A path as messages show it: quoted, and cut off where it is long."""
    return f"{path!r:.80}"
