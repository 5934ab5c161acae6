"""Files that hold tokens or keys, a word a line: read in one way by everything that reads one."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class SecretFileError(Exception):
    """A file of secrets cannot be used. The text goes on from the file's name and never repeats what is in it."""


def read(path: Path) -> tuple[str, ...]:
    """Return the words in a file. While a secret is changed the new one stands first.

    A file that is ours and that everyone may read is refused. One that somebody else hands in is their care: what a
    container is given often belongs to root.

    Raises:
        SecretFileError: it cannot be read, is empty, or everyone on this host can read it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            words = file.read().decode("ascii").split()
    except OSError as error:
        raise SecretFileError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretFileError("cannot be read: it is no text") from error
    if not words:
        raise SecretFileError("is empty")
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o007 and status.st_uid == os.geteuid():
        raise SecretFileError("can be read by everyone on this host: chmod 600 it, and change what is in it")
    return tuple(words)
