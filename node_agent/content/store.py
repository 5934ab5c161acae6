"""The blobs that this node holds, each unpacked below its digest; bounded, the least recently used one goes first.

    <root>/<digest>/blob.json   what it holds, written last: a directory without it is half a blob
    <root>/<digest>/home/       what a home gets: files, and links into `large`
    <root>/<digest>/large/      files that are too large to be copied into every home
    <root>/.work/               what is being unpacked or removed; swept when an agent starts

A digest is a secret: whoever knows one can read the blob in any sandbox of the node, for all see this directory. So
nobody may list it (0711). A blob that a living sandbox was given, or that a pool wants, is never removed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.content.blob import (
    DIGEST,
    WORK,
    Blob,
    HashingReader,
    describe,
    disk_has,
    is_whole,
    read_whole,
    remove,
    set_aside,
    used_at,
    workplace,
)
from node_agent.content.unpacking import Readable, unpack
from node_agent.errors import ContentError, HostError

log = logging.getLogger("content")


class BlobStore:
    """Takes, holds and removes blobs. Safe to call from several threads."""

    def __init__(
        self, root: Path, *, copy_bytes: int, limit_bytes: int, blob_bytes: int, uses: Callable[[str], int]
    ) -> None:
        """A store below `root` of at most `limit_bytes`; 0: it takes nothing.

        `copy_bytes` is the largest file that homes get a copy of, `blob_bytes` the longest tar. `uses` says how many
        sandboxes and pools need a blob.
        """
        self.root = root
        self.limit_bytes = limit_bytes
        self.blob_bytes = blob_bytes
        self._copy_bytes = copy_bytes
        self._uses = uses
        self._blobs: dict[str, Blob] = {}
        self._reserved = 0
        self._lock = threading.RLock()
        self._arrived: list[Callable[[str], object]] = []
        self.problem = "" if limit_bytes else "this node takes no contents (TMPNB_NODE_CONTENT_BYTES is 0)"
        """Why it takes nothing; empty: it does."""

    @property
    def works(self) -> bool:
        """Whether this node takes blobs at all."""
        return not self.problem

    def begin(self) -> None:
        """Make ready what can be: a disk that fails costs the node its contents, and nothing else."""
        if not self.works:
            return
        try:
            self.prepare()
        except HostError as error:
            self.give_up(str(error))

    def give_up(self, problem: str) -> None:
        """Take nothing from now on; says why."""
        self.problem = problem
        log.warning("no contents: %s", problem)

    def prepare(self) -> None:
        """Make the directory, remove what is half there, and take in what a former agent left.

        Raises:
            HostError: the directory cannot be used.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)
            self._work.mkdir(mode=0o700, exist_ok=True)
            for left in self._work.iterdir():
                remove(left)
            for place in self.root.iterdir():
                if DIGEST.fullmatch(place.name):
                    self._adopt(place)
        except OSError as error:
            raise HostError(f"{self.root} cannot be used for contents: {error.strerror}") from error

    def when_arrived(self, call: Callable[[str], object]) -> None:
        """Have `call` told each digest that has come, in the thread that took the blob."""
        self._arrived.append(call)

    # Reading

    def blobs(self) -> list[Blob]:
        """Every blob, the least recently used first."""
        with self._lock:
            return sorted(self._blobs.values(), key=lambda blob: used_at(self.root / blob.digest))

    def find(self, digest: str) -> Blob | None:
        """What is known of a blob; None: it is not there.

        Takes no lock: whoever asks may hold the table's, and whoever removes a blob takes that after the store's.
        """
        return self._blobs.get(digest)

    def uses(self, digest: str) -> int:
        """How many sandboxes and pools need a blob."""
        return self._uses(digest)

    def home(self, digest: str) -> Path:
        """The directory of what a home gets."""
        return self.root / digest / "home"

    def use(self, digest: str) -> Blob | None:
        """A blob that a home is to be filled with now, looked through; None: it is not there, or no longer as it came.

        One that was altered is forgotten, so that it is sent again; what lies there stays until then, for sandboxes
        may have links into it.
        """
        blob = self.find(digest)
        if blob is None:
            return None
        try:
            untouched = is_whole(self.root / digest, blob)
            os.utime(self.root / digest)
        except OSError:
            untouched = False
        if untouched:
            return blob
        log.warning("the files of blob %s are not as they came; it has to be sent again", digest[:12])
        with self._lock:
            if self._blobs.get(digest) is blob:
                del self._blobs[digest]
        return None

    # Changing

    def put(self, digest: str, length: int, stream: Readable) -> Blob:
        """Take a blob: `length` bytes of a tar whose SHA-256 is `digest`. One that is there already is left alone.

        Raises:
            ContentError: it is not taken, and why; nothing of it is left.
            HostError: the disk fails.
            OSError: the stream fails.
        """
        if not self.works:
            raise ContentError("off", self.problem)
        if blob := self.use(digest):
            return blob
        if length > self.blob_bytes:
            raise ContentError("too_large", f"a blob of {length} bytes is too large: {self.blob_bytes} are allowed")
        with self._room(length), workplace(self._work) as place:
            reader = HashingReader(stream, length)
            unpacked = unpack(reader, place, lies_at=self.root / digest, copy_bytes=self._copy_bytes)
            reader.drain()
            if reader.digest != digest:
                raise ContentError("bad_blob", "the bytes that came have another SHA-256")
            blob = describe(place, digest, unpacked)
            self._place(place, blob)
        for call in self._arrived:
            call(digest)
        return blob

    def delete(self, digest: str) -> None:
        """Remove a blob.

        Raises:
            ContentError: it is not there, or a sandbox or a pool needs it.
            HostError: the disk fails.
        """
        with self._lock:
            if digest not in self._blobs:
                raise ContentError("unknown_blob", "this node does not hold that blob")
            if self._uses(digest):
                raise ContentError("in_use", "a sandbox or a pool of this node needs that blob")
            doomed = self._take_away(digest)
        remove(doomed)

    # How

    @property
    def _work(self) -> Path:
        return self.root / WORK

    def _adopt(self, place: Path) -> None:
        blob = read_whole(place)
        if blob is not None:
            self._blobs[blob.digest] = blob
        elif not self._uses(place.name):
            log.warning("removing what is no whole blob, %s", place.name[:12])
            remove(place)

    @contextmanager
    def _room(self, length: int) -> Iterator[None]:
        """Make room for a blob, and keep it while that comes."""
        doomed = []
        with self._lock:
            taken = sum(blob.bytes for blob in self._blobs.values()) + self._reserved
            for blob in self.blobs():
                if taken + length <= self.limit_bytes and disk_has(self.root, self._reserved + length):
                    break
                if not self._uses(blob.digest):
                    taken -= blob.bytes
                    doomed.append(self._take_away(blob.digest))
                    # Now, and not after: whether the disk has room shows only then.
                    remove(doomed[-1])
            if taken + length > self.limit_bytes:
                raise ContentError(
                    "no_room", f"no room: blobs that are needed take {taken} of {self.limit_bytes} bytes"
                )
            if not disk_has(self.root, self._reserved + length):
                raise ContentError("no_room", f"the disk of {self.root} is nearly full")
            self._reserved += length
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= length

    def _place(self, place: Path, blob: Blob) -> None:
        target = self.root / blob.digest
        with self._lock:
            if blob.digest in self._blobs:
                return
            if target.exists():
                # One that was altered: links into it lead to the files of this one from now on.
                remove(self._take_away(blob.digest))
            place.rename(target)
            self._blobs[blob.digest] = blob
        log.info("blob %s has come, %s files, %s bytes", blob.digest[:12], blob.files, blob.bytes)

    def _take_away(self, digest: str) -> Path:
        """Move a blob to where it is removed; called with the lock held."""
        doomed = set_aside(self.root / digest, self._work)
        self._blobs.pop(digest, None)
        return doomed
