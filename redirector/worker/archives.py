"""Archives: zip, or tar with gzip around it or without. Read in place, and never unpacked as files.

A bomb ends at the bounds: of a gzip no more than so many bytes come out of it, and a zip's file is read no further than
the size that its directory names, whose sum is within the bounds.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from redirector.worker.addresses import AddressCheck
from redirector.worker.downloads import ArchiveSource, download
from redirector.worker.errors import TreeError
from redirector.worker.limits import FetchLimits
from redirector.worker.sources import FetchedTree
from redirector.worker.tree import Bounds, Leaf, SourceFile, Tree
from redirector.worker.tree_paths import LINK_BYTES, checked_path, checked_target

ZIP, GZIP = b"PK", b"\x1f\x8b"
"""How these files begin."""

PIECE = 1024 * 1024
TAR_OVERHEAD = 4096
"""Bytes that a file takes in a tar beside its own: headers, long names, padding."""

ZIP_DIRECTORY_LIMIT = 64 * 1024 * 1024
"""The longest directory of a zip that is read into memory."""

_BAD_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    EOFError,
    ValueError,
)
_BAD_TAR = (tarfile.TarError, EOFError, ValueError, zlib.error, gzip.BadGzipFile)


@contextmanager
def fetch_archive(
    source: ArchiveSource, scratch: Path, bounds: Bounds, check: AddressCheck, limits: FetchLimits
) -> Iterator[FetchedTree | None]:
    """The tree of an archive, whose files can be read within this context; None: it is the one with that ETag still.

    Raises:
        FetchError: its host is away, slow or garbled.
        TreeError: it is no archive, or holds no tree of plain files within the bounds.
    """
    path = scratch / "archive"
    downloaded = download(source, path, check, limits)
    if downloaded is None:
        yield None
        return
    with open_archive(path, downloaded.etag, bounds, limits) as fetched:
        yield fetched


@contextmanager
def open_archive(path: Path, version: str, bounds: Bounds, limits: FetchLimits) -> Iterator[FetchedTree]:
    """The tree of an archive in a file. See `fetch_archive`."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head[:2] == ZIP:
            try:
                with zipfile.ZipFile(_checked_zip(file, bounds)) as archive:
                    yield _zip_tree(archive, version, bounds)
            except _BAD_ZIP as error:
                raise TreeError(f"the zip archive is damaged: {error!s:.100}") from error
            return
        try:
            plain = _unzipped(file, path.with_name("archive.tar"), bounds, limits) if head[:2] == GZIP else file
            with plain, tarfile.open(fileobj=plain, mode="r:", errorlevel=2) as tar:
                yield _tar_tree(tar, version, bounds)
        except _BAD_TAR as error:
            raise TreeError(f"the file is no zip, no tar and no tar.gz, or is damaged: {error!s:.100}") from error


def _unzipped(file: IO[bytes], target: Path, bounds: Bounds, limits: FetchLimits) -> IO[bytes]:
    """The tar in a gzip, as a file of its own in which one can go back and forth."""
    most = bounds.size + (bounds.files + 16) * TAR_OVERHEAD
    size = 0
    with gzip.GzipFile(fileobj=file) as unpacked, target.open("wb") as tar:
        while piece := unpacked.read(PIECE):
            size += len(piece)
            if size > most:
                raise TreeError(f"the archive unpacks to more than the {bounds.size} bytes of TMPNB_CONTENT_BYTES")
            tar.write(piece)
            limits.seconds_left()
            if size % (64 * PIECE) < PIECE:
                limits.check_disk(target.parent)
    return target.open("rb")


def _tar_tree(tar: tarfile.TarFile, version: str, bounds: Bounds) -> FetchedTree:
    tree = Tree(bounds)
    members: list[tarfile.TarInfo] = []
    places: dict[str, int] = {}
    for member in tar:
        name = _plain(member.name)
        if member.isdir() or not name:
            continue
        path = checked_path(name)
        if member.issym():
            tree.add(Leaf(path, 0, 0, target=checked_target(member.linkname)))
        elif member.islnk():
            linked = checked_path(_plain(member.linkname))
            if linked not in places:
                raise TreeError(f"{path!r:.80} is a link to a file that the archive does not hold before it")
            original = members[places[linked]]
            _append(tree, members, places, path, original)
        elif member.isreg():
            _append(tree, members, places, path, member)
        else:
            raise TreeError(f"{path!r:.80} is a device, a pipe or the like")
    tree.without_single_root()

    def read(leaf: Leaf) -> SourceFile:
        file = tar.extractfile(members[int(leaf.key)])
        assert file is not None, "only plain files are taken"
        return file

    return FetchedTree(tree, version, read)


def _append(
    tree: Tree, members: list[tarfile.TarInfo], places: dict[str, int], path: str, member: tarfile.TarInfo
) -> None:
    places[path] = len(members)
    tree.add(Leaf(path, member.size, len(members), executable=bool(member.mode & stat.S_IXUSR)))
    members.append(member)


def _checked_zip(file: IO[bytes], bounds: Bounds) -> IO[bytes]:
    """See that a zip's directory is short enough to be read: `zipfile` takes all of it into memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001 - the only way to know it beforehand
    file.seek(0)
    if end is not None and (end[5] > ZIP_DIRECTORY_LIMIT or end[4] > 2 * bounds.files + 1000):
        raise TreeError(f"it has more than {bounds.files} files, the most that TMPNB_CONTENT_FILES allows")
    return file


def _zip_tree(archive: zipfile.ZipFile, version: str, bounds: Bounds) -> FetchedTree:
    tree = Tree(bounds)
    members = archive.infolist()
    for number, member in enumerate(members):
        if member.flag_bits & 0x1:
            raise TreeError("the zip archive is encrypted")
        mode = member.external_attr >> 16 if member.create_system == 3 else 0  # noqa: PLR2004 - UNIX
        name = _plain(_zip_name(member))
        if member.is_dir() or not name:
            continue
        path = checked_path(name)
        if stat.S_ISLNK(mode):
            if member.file_size > LINK_BYTES:
                raise TreeError(f"the link {path!r:.80} is too long")
            with archive.open(member) as file:
                tree.add(Leaf(path, 0, number, target=checked_target(file.read(LINK_BYTES + 1))))
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            tree.add(Leaf(path, member.file_size, number, executable=bool(mode & stat.S_IXUSR)))
        else:
            raise TreeError(f"{path!r:.80} is a device, a pipe or the like")
    tree.without_single_root()
    return FetchedTree(tree, version, lambda leaf: archive.open(members[int(leaf.key)]))


def _zip_name(member: zipfile.ZipInfo) -> bytes | str:
    """A name without the flag for UTF-8 was read as code page 437; many tools write UTF-8 there all the same."""
    if member.flag_bits & 0x800:
        return member.orig_filename
    try:
        return member.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return member.orig_filename


def _plain(name: bytes | str) -> str:
    """A member's name without what tools put before and behind it; empty: it is the root itself.

    Raises:
        TreeError: it is not UTF-8.
    """
    try:
        text = name.decode() if isinstance(name, bytes) else name
    except UnicodeDecodeError:
        raise TreeError(f"the name {name!r:.80} is not UTF-8") from None
    while text.startswith("./"):
        text = text[2:]
    return "" if text == "." else text
