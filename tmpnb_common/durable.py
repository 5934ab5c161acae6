"""Files that survive a power cut: temporary file, fsync, rename."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any


class FileError(Exception):
    """A file cannot be written, or does not hold what it should; the message is a sentence for an operator."""


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace `path` as a whole; a reader sees the old text or the new, never a part.

    The temporary file lies beside it under a fixed name, so that a crash leaves one at most and the next write reuses
    it. Only one process writes any of these files. What has not changed is left alone: an agent starts on a full disk
    too, and whoever watches a file sees nothing.

    Raises:
        FileError: the disk did not take it; the old text is still there.
    """
    try:
        if _holds(path, text, mode):
            return
        _replace(path, path.with_name(f".{path.name}.new"), text, mode)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from error


def _holds(path: Path, text: str, mode: int) -> bool:
    try:
        return stat.S_IMODE(path.lstat().st_mode) == mode and path.read_bytes() == text.encode()
    except FileNotFoundError:
        return False


def _replace(path: Path, fresh: Path, text: str, mode: int) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_json(path: Path, value: dict[str, Any], *, mode: int = 0o644) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n", mode=mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None where there is no file.

    Raises:
        FileError: there is something else in it. It is never taken for an absent file: that would forget an intent.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise FileError(f"{path} cannot be read: {error}. Mend or remove it.") from error
    if not isinstance(value, dict):
        raise FileError(f"{path} holds no JSON object. Mend or remove it.")
    return value
