"""Where blobs are kept: a local directory, or an object store that several redirector hosts share.

An object is named by the SHA-256 of its bytes and never changes. The store and the database carry the same random mark,
so that a store beside a foreign or a restored database is never taken for its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from redirector.worker.errors import BlobDamagedError, BlobStoreError, disk_problem
from redirector.worker.limits import check_free

MARK = "mark"
MARK_LIMIT = 256
PIECE = 1024 * 1024

RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
PATIENCE: Any = {"connect_timeout": "5s", "timeout": "300s", "allow_http": True}
"""Of a store on the network. A worker that waits holds its leases meanwhile. The operator named the address."""

FAILURES = (BaseError, OSError, ValueError)
"""What obstore raises: errors of its own, and Python's for what Python has errors for."""


class ObjectStore:
    """Keeps blobs. Safe to use from several threads."""

    def __init__(self, url: str, directory: Path, scratch: Path) -> None:
        """The store at `url`, or where that is empty in `directory`; `scratch` is a directory for files on their way.

        Raises:
            BlobStoreError: it cannot be used.
        """
        self._local = None if url else directory
        self._scratch = scratch
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            self._store: Any = (
                from_url(url, retry_config=RETRIES, client_options=PATIENCE)
                if url
                else LocalStore(directory, mkdir=True)
            )
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs cannot be used: {_first_line(error)}") from error

    def check_mark(self, mark: str) -> None:
        """See that this store belongs to the database that has this mark; an empty store is given it.

        Raises:
            BlobStoreError: it belongs to another one, or does not answer.
        """
        try:
            obstore.put(self._store, MARK, mark.encode(), mode="create")
        except (AlreadyExistsError, FileExistsError):
            pass
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs does not take anything: {_first_line(error)}") from error
        try:
            found = obstore.get_range(self._store, MARK, start=0, end=MARK_LIMIT).to_bytes().decode(errors="replace")
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs does not answer: {_first_line(error)}") from error
        if found.strip() != mark:
            raise BlobStoreError(
                "the store of blobs belongs to another database than this one: contents stay off. Set TMPNB_BLOBS to "
                "this database's own store, or empty the store"
            )

    def put(self, digest: str, path: Path) -> None:
        """Keep a file under its digest; one that is there already is replaced by the same bytes.

        Raises:
            NoRoomError: the disk would be nearly full.
            BlobStoreError: the store does not take it.
        """
        if self._local is not None:
            check_free(self._local, path.stat().st_size)
        try:
            obstore.put(self._store, _place(digest), path)
        except OSError as error:
            raise disk_problem(error) from error
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs does not take a blob: {_first_line(error)}") from error

    @contextmanager
    def opened(self, digest: str) -> Iterator[Path]:
        """A copy of a blob in a file, which has the bytes that the digest says.

        Raises:
            BlobDamagedError: the store does not hold it, or with other bytes.
            BlobStoreError: the store does not answer.
        """
        path = self._scratch / secrets.token_hex(8)
        try:
            self._copy(digest, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _copy(self, digest: str, path: Path) -> None:
        hashed = hashlib.sha256()
        check_free(self._scratch)
        try:
            with path.open("wb") as file:
                for piece in obstore.get(self._store, _place(digest)).stream(min_chunk_size=PIECE):
                    hashed.update(piece)
                    file.write(piece)
        except FileNotFoundError as error:
            raise BlobDamagedError("the store of blobs has lost a blob; it is fetched again") from error
        except OSError as error:
            raise disk_problem(error) from error
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs does not answer: {_first_line(error)}") from error
        if hashed.hexdigest() != digest:
            raise BlobDamagedError("a blob was altered in its store; it is fetched again")

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is gone already is fine.

        Raises:
            BlobStoreError: the store does not do it.
        """
        try:
            obstore.delete(self._store, _place(digest))
        except FileNotFoundError:
            return
        except FAILURES as error:
            raise BlobStoreError(f"the store of blobs does not remove a blob: {_first_line(error)}") from error


def _place(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


def _first_line(error: BaseException) -> str:
    """The rest of obstore's texts is for its authors."""
    return str(error).partition("\n")[0][:200]
