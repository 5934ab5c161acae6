"""Unpacks a blob: an uncompressed tar from outside, read once from a stream, of which only plain files are taken.

Nothing of it is believed: no links, no devices, no way out of the directory, a bounded number of members, and no
more bytes than came. Hidden names are left out, because a Jupyter server would neither show nor write them.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from node_agent.errors import ContentError

MOST_MEMBERS = 20_000
"""Files and directories together. A fetch stops at 10,000 files, and each may have a directory of its own."""

NAME_BYTES = 255
"""Of one part of a path; Linux takes no longer one."""
PATH_BYTES = 1024
"""Of a whole path below the home."""
EXTENSION_BYTES = 64 * 1024
"""Of the records by which a tar says a long or foreign name: tarfile reads them into memory as a whole."""

UNTOUCHED = 0
"""The time of change of every file of a blob, in seconds since 1970. Whoever alters one later moves it."""

NOTEBOOK = ".ipynb"

_EXTENSIONS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.GNUTYPE_SPARSE,
    }
)


class Readable(Protocol):
    """What comes in pieces, such as a request's body."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most so many; none at the end."""


class _BoundedMember(tarfile.TarInfo):
    """A member's header, refused where what follows it would be read into memory without a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENSIONS and not 0 <= member.size <= EXTENSION_BYTES:
            raise ContentError("bad_blob", "the tar describes a name with more bytes than any name has")
        return member


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a blob holds, without what was left out."""

    files: int
    copied_bytes: int
    """Of the files that each home gets a copy of."""
    linked_bytes: int
    """Of the files that are one for all sandboxes of the node."""
    linked: tuple[str, ...] = ()
    """Their paths below the home."""


def unpack(stream: Readable, place: Path, *, lies_at: Path, copy_bytes: int) -> Unpacked:
    """Unpack a tar into `place/home`, and files of more than `copy_bytes` into `place/large`.

    A large file's place in the home is a link to where it will lie once `place` has been moved to `lies_at`. A
    notebook is never one: Jupyter does not open what is outside of the home.

    Raises:
        ContentError: the tar is none, or holds what no blob may hold.
        OSError: the disk or the stream fails.
    """
    home, large = place / "home", place / "large"
    for directory in (home, large):
        directory.mkdir()
        directory.chmod(0o755)
    files = copied = 0
    linked: dict[str, int] = {}
    source: Any = stream  # of a stream tarfile asks for nothing but `read`
    with _tar_errors(), tarfile.open(fileobj=source, mode="r|", tarinfo=_BoundedMember, encoding="utf-8") as archive:
        for member in _bounded(archive):
            parts = _parts(member)
            if not parts or any(part.startswith(".") for part in parts):
                continue
            if member.isdir():
                _make_directories(home, parts)
                continue
            _make_directories(home, parts[:-1])
            files += 1
            if member.size <= copy_bytes or parts[-1].endswith(NOTEBOOK):
                copied += member.size
                _write(archive, member, home.joinpath(*parts))
            else:
                linked["/".join(parts)] = member.size
                _make_directories(large, parts[:-1])
                _write(archive, member, large.joinpath(*parts))
                home.joinpath(*parts).symlink_to(lies_at.joinpath("large", *parts))
    return Unpacked(files, copied, sum(linked.values()), tuple(linked))


@contextmanager
def _tar_errors() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise ContentError("bad_blob", f"the blob is no tar, or only a part of one: {error}") from error
    except FileExistsError as error:
        raise ContentError("bad_blob", "the tar holds a name twice") from error
    except (NotADirectoryError, IsADirectoryError) as error:
        raise ContentError("bad_blob", "the tar holds a file where it holds a directory too") from error


def _bounded(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(archive):
        if number >= MOST_MEMBERS:
            raise ContentError("bad_blob", f"the tar holds more than {MOST_MEMBERS} files and directories")
        yield member
        # tarfile keeps every header that it has read.
        archive.members = []  # type: ignore[attr-defined] # documented in Python's own examples


def _parts(member: tarfile.TarInfo) -> list[str]:
    """The parts of a member's path below the home; none for the home itself."""
    name = member.name
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or member.issparse():
        raise ContentError("bad_blob", f"the tar holds {name!r:.80}, which is neither a plain file nor a directory")
    parts = [part for part in name.split("/") if part != "."]
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError as error:
        raise ContentError("bad_blob", f"the tar holds a name that is not UTF-8: {name!r:.80}") from error
    if parts and parts[-1] == "" and member.isdir():
        parts.pop()
    if any(part in ("", "..") or not part.isprintable() for part in parts):
        raise ContentError("bad_blob", f"the tar holds {name!r:.80}, which is no path below a home")
    if max(lengths, default=0) > NAME_BYTES or sum(lengths) + len(lengths) > PATH_BYTES:
        raise ContentError("bad_blob", f"the tar holds a name that is too long: {name!r:.80}")
    if member.isfile() and (not parts or member.size < 0):
        raise ContentError("bad_blob", f"the tar holds {name!r:.80}, which is no path below a home")
    return parts


def _make_directories(root: Path, parts: list[str]) -> None:
    place = root
    for part in parts:
        place = place / part
        try:
            place.mkdir()
        except FileExistsError:
            if place.is_symlink() or not place.is_dir():
                raise ContentError("bad_blob", "the tar holds a file where it holds a directory too") from None
        else:
            place.chmod(0o755)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(member)
    assert source is not None, "a plain file has bytes"
    with path.open("xb") as file:
        # Read in pieces; where fewer bytes come than the header says, tarfile raises.
        shutil.copyfileobj(source, file, 256 * 1024)
        if file.tell() != member.size:
            raise ContentError("bad_blob", f"the tar ends within {member.name!r:.80}")
        os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)
    os.utime(path, (UNTOUCHED, UNTOUCHED))
