"""What goes wrong while contents are fetched and kept. Every text is a sentence for operators and holds no token."""

from __future__ import annotations

import errno

from redirector.errors import FleetError


class WorkerError(FleetError):
    """A content cannot be fetched or kept; the last good one goes on being served."""

    code = "content_failed"


class FetchError(WorkerError):
    """A source is away, slow, garbled, or not allowed."""


class TreeError(WorkerError):
    """What a source holds is no tree of plain files within the bounds."""


class NoRoomError(WorkerError):
    """There is no room for another blob."""


class BlobDamagedError(WorkerError):
    """A blob does not have the hash that it is named by: its bytes were altered."""


class BlobStoreError(WorkerError):
    """The object store does not do what it is told, or belongs to another database."""


class StoppedError(WorkerError):
    """The worker is told to end."""

    def __init__(self) -> None:
        super().__init__("the worker ends")


def disk_problem(error: OSError) -> WorkerError:
    """Put what the disk refused into words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoRoomError("the redirector's disk is full")
    return BlobStoreError(f"the redirector's disk fails: {error.strerror or type(error).__name__}")
