"""Makes a blob of a content: fetched, checked, packed and kept. One content at a time for a caller."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag

from redirector.model.content import Content, FetchedBlob
from redirector.model.sources import Source, parse_source
from redirector.store.blob_rows import BlobRows
from redirector.worker.addresses import AddressCheck
from redirector.worker.archives import fetch_archive
from redirector.worker.directories import fetch_directory
from redirector.worker.downloads import ArchiveSource
from redirector.worker.errors import NoRoomError, disk_problem
from redirector.worker.git import GitSource, fetch_git
from redirector.worker.limits import FetchLimits, check_free
from redirector.worker.needs import Needs
from redirector.worker.object_store import ObjectStore
from redirector.worker.sources import FetchedTree
from redirector.worker.tree import Bounds, pack

DISK_FACTOR = 3
"""A fetch may take so many times the bytes of a content on the disk: what came, what it unpacks to, and the tar."""


@dataclass(frozen=True, slots=True)
class FetchBounds:
    """What one fetch may take."""

    files: int
    bytes: int
    seconds: float


class ContentFetcher:
    """Fetches contents. Safe to use from several threads."""

    def __init__(
        self,
        *,
        blobs: ObjectStore,
        rows: BlobRows,
        scratch: Path,
        check: AddressCheck,
        bounds: FetchBounds,
        stop: Flag,
    ) -> None:
        """Fetch into directories below `scratch`; what is under way ends once `stop` is set."""
        self._blobs = blobs
        self._rows = rows
        self._scratch = scratch
        self._check = check
        self._bounds = bounds
        self._stop = stop

    def fetch(self, content: Content) -> FetchedBlob:
        """Fetch a content, and keep its blob. What has not changed since, and is kept still, is not fetched again.

        Raises:
            WorkerError: it cannot be fetched or kept; says why.
        """
        source = parse_source(content.source)
        kept = bool(content.digest) and content.digest in self._rows.all()
        limits = FetchLimits(self._bounds.seconds, DISK_FACTOR * self._bounds.bytes, self._stop)
        place = Path(tempfile.mkdtemp(prefix="fetch-", dir=self._scratch))
        try:
            check_free(self._scratch)
            with self._tree(source, content, content.commit if kept else "", place, limits) as fetched:
                if fetched is None:
                    return FetchedBlob(content.digest, content.commit, content.size, content.files, content.needs)
                return self._kept(fetched, place)
        except OSError as error:
            raise disk_problem(error) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def _tree(
        self, source: Source, content: Content, known: str, place: Path, limits: FetchLimits
    ) -> Iterator[FetchedTree | None]:
        bounds = Bounds(self._bounds.files, self._bounds.bytes)
        match source.kind:
            case "directory":
                with fetch_directory(Path(source.url), known, bounds, limits) as fetched:
                    yield fetched
            case "archive":
                archive = ArchiveSource(source.url, content.token, known)
                with fetch_archive(archive, place, bounds, self._check, limits) as fetched:
                    yield fetched
            case _:
                git = GitSource(source.url, source.ref, self._check.origin(source.url), content.token)
                with fetch_git(git, known, place, bounds, limits) as fetched:
                    yield fetched

    def _kept(self, fetched: FetchedTree, place: Path) -> FetchedBlob:
        needs = Needs()
        path = place / "blob.tar"
        with path.open("wb") as tar:
            packed = pack(fetched.tree, tar, lambda leaf: needs.watched(leaf, fetched.read(leaf)))
        self._blobs.put(packed.digest, path)
        self._rows.put(packed.digest, packed.size)
        return FetchedBlob(packed.digest, fetched.version, packed.size, packed.files, needs.line(fetched.tree))


def make_room(blobs: ObjectStore, rows: BlobRows, named: set[str], limit: int) -> None:
    """Remove blobs that no content has, those used longest ago first, until the rest is within `limit` bytes.

    Raises:
        NoRoomError: what contents have is more than that.
        BlobStoreError: the store does not remove one.
    """
    held = rows.all()
    total = sum(row.bytes for row in held.values())
    for digest, row in held.items():
        if total <= limit:
            return
        if digest not in named:
            # The row goes first: a blob without one is fetched again, a row without a blob would promise too much.
            rows.delete(digest)
            blobs.delete(digest)
            total -= row.bytes
    if total > limit:
        raise NoRoomError(f"contents take {total} bytes, more than the {limit} of TMPNB_BLOBS_LIMIT")
