"""One blob on the disk: what is known of it, whether it is as it came, and the bytes that it comes as."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from node_agent import files
from node_agent.content.unpacking import UNTOUCHED, Readable, Unpacked
from node_agent.errors import ContentError, HostError
from tmpnb_common.json_object import Count, Digest, JsonError, Text, convert

DIGEST = re.compile(r"[0-9a-f]{64}")

BLOCK = 4096
"""Bytes: what the smallest file takes up on a disk."""
PIECE = 256 * 1024
KEPT_FREE = 1 << 30
KEPT_PART = 20
"""A blob is refused that would leave less than 1 GiB or a twentieth of the disk free, whichever is less."""

WORK = ".work"
"""The name of the directory beside the blobs in which they are unpacked and removed."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob that is there."""

    digest: Digest
    bytes: Count
    """What it takes up on the disk."""
    files: Count
    copied_bytes: Count
    """What each home gets of it."""
    linked_bytes: Count
    linked: tuple[Text, ...] = ()
    """The paths of the files that are links, below the home."""


class HashingReader:
    """Reads so many bytes of a stream, and computes their SHA-256."""

    def __init__(self, stream: Readable, length: int) -> None:
        self._stream = stream
        self._left = length
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(min(self._left, PIECE if size < 0 else size))
        if not piece and self._left and size:
            raise ConnectionError("the body ended early")
        self._left -= len(piece)
        self._hash.update(piece)
        return piece

    def drain(self) -> None:
        """Read what is left behind the end of the tar."""
        while self._left:
            self.read()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def describe(place: Path, digest: str, unpacked: Unpacked) -> Blob:
    """Write down what was unpacked there, by which the next agent knows that it is whole."""
    size = sum(_blocks(entry) for entry in _walk(place))
    blob = Blob(digest, size, unpacked.files, unpacked.copied_bytes, unpacked.linked_bytes, unpacked.linked)
    files.write_json(place / "blob.json", asdict(blob))
    return blob


def read_whole(place: Path) -> Blob | None:
    """The blob that lies in a directory; None if none does, or not as it came."""
    try:
        described = files.read_json(place / "blob.json")
        blob = None if described is None else convert(Blob, described)
        return blob if blob is not None and blob.digest == place.name and is_whole(place, blob) else None
    except (HostError, JsonError, OSError):
        return None


def used_at(place: Path) -> float:
    """When the blob in a directory was last used, in seconds since 1970; 0 if it is gone."""
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0


def is_whole(place: Path, blob: Blob) -> bool:
    """Whether every file of a blob is there, as long as it was and untouched since.

    What a power cut has taken shows here, and what somebody has written into a file; a disk that turns bits does not.
    """
    kinds = [(entry.is_symlink(), entry.stat(follow_symlinks=False)) for entry in _walk(place)]
    plain = [state for is_link, state in kinds if not is_link and stat.S_ISREG(state.st_mode)]
    links = sum(is_link for is_link, _ in kinds)
    return (
        len(plain) == blob.files
        and links == len(blob.linked)
        and sum(state.st_size for state in plain) == blob.copied_bytes + blob.linked_bytes
        and all(state.st_mtime == UNTOUCHED for state in plain)
    )


def _walk(place: Path) -> Iterator[os.DirEntry[str]]:
    """Every file, link and directory of a blob."""
    left = [place / "home", place / "large"]
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    left.append(Path(entry.path))


def _blocks(entry: os.DirEntry[str]) -> int:
    state = entry.stat(follow_symlinks=False)
    size = state.st_size if stat.S_ISREG(state.st_mode) else 0
    return -(-size // BLOCK) * BLOCK + BLOCK


def remove(path: Path) -> None:
    """Remove a file or a directory; gone already is fine.

    Raises:
        HostError: the disk refuses.
    """
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}") from error


def disk_has(root: Path, length: int) -> bool:
    """Whether the disk takes so many bytes more and keeps enough for others."""
    disk = os.statvfs(root)
    kept = min(KEPT_FREE, disk.f_frsize * disk.f_blocks // KEPT_PART)
    return disk.f_frsize * disk.f_bavail - length >= kept


@contextmanager
def workplace(work: Path) -> Iterator[Path]:
    """A directory to unpack into; what is left in it at the end is removed.

    Raises:
        ContentError: the disk was full.
        HostError: it failed in another way.
    """
    place = work / secrets.token_hex(8)
    try:
        place.mkdir(parents=True)
        place.chmod(0o755)
        yield place
    except (TimeoutError, ConnectionError):
        # Of whoever sends the blob.
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ContentError("no_room", "the disk for contents is full") from error
        raise HostError(f"a blob cannot be unpacked: {error.strerror or type(error).__name__}") from error
    finally:
        remove(place)


def clear_blobs(root: Path) -> None:
    """Remove every blob below a directory, for a node that runs nothing any more.

    Raises:
        HostError: the disk refuses.
    """
    for place in root.iterdir() if root.is_dir() else ():
        if DIGEST.fullmatch(place.name) or place.name == WORK:
            remove(place)


def set_aside(place: Path, work: Path) -> Path:
    """Move what lies in a directory to where it is removed; it may be gone already.

    Raises:
        HostError: the disk refuses.
    """
    doomed = work / secrets.token_hex(8)
    try:
        place.rename(doomed)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostError(f"a blob cannot be removed: {error.strerror}") from error
    return doomed
