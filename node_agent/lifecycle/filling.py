"""Puts into a visitor's home what they came for, after the claim: in threads of its own, once, and until it is done.

What is wanted was noted with the claim. A filling that was cut off, by an agent that ended or a blob that was not there
yet, is taken up again by whoever asks, by the next agent, or when the blob arrives. It never overwrites a file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from node_agent.content.blob import Blob
from node_agent.content.store import BlobStore
from node_agent.errors import ContentError, HostError
from node_agent.pools.table import SandboxTable
from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import base_path, redact

log = logging.getLogger("content")

FILLERS = 4
"""Threads that fill homes. Forty students at once wait for ten fillings each at most."""

FILL_SECONDS = 10.0
"""For one filling. A server that takes longer is stuck or hostile."""

FillWord = Literal["done", "running", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class FillState:
    """How far a home is: `missing` is a blob that this node does not hold; `message` says why it failed."""

    state: FillWord
    message: str = ""


Fill = Callable[[Path, str, Path, tuple[str, ...], float], None]
"""Fills the home of the server at a socket, below a base path, with the files of a directory, of which some are links,
within so many seconds.

Raises:
    ContentError: it cannot, and why.
"""


class HomeFiller:
    """Fills homes. Safe to call from several threads."""

    def __init__(self, table: SandboxTable, blobs: BlobStore, fill: Fill, *, homes: Mapping[str, int]) -> None:
        """A filler; `homes` says how many bytes a home holds, by pool."""
        self._table = table
        self._blobs = blobs
        self._fill = fill
        self._homes = homes
        self._workers = ThreadPoolExecutor(FILLERS, "fill")
        self._lock = threading.Lock()
        self._running: dict[str, Future[FillState]] = {}
        blobs.when_arrived(self._arrived)

    def ask(self, sandbox: Sandbox, seconds: float) -> FillState:
        """Have a sandbox filled with what its visitor wants, wait for so long at most, and say how far that is."""
        if sandbox.filled or not sandbox.wanted:
            return FillState("done")
        if sandbox.state != "claimed":
            return FillState("failed", "the sandbox has ended")
        blob = self._blobs.use(sandbox.wanted)
        if blob is None:
            return FillState("missing")
        task = self._submit(sandbox, blob)
        wait_for([task], seconds)
        return task.result() if task.done() else FillState("running")

    def finish(self, sandbox: Sandbox) -> None:
        """Take up again what a former agent left undone, where the blob is there."""
        if sandbox.state == "claimed" and sandbox.wanted and not sandbox.filled:
            blob = self._blobs.use(sandbox.wanted)
            if blob is not None:
                self._submit(sandbox, blob)

    def _arrived(self, digest: str) -> None:
        for sandbox in self._table.all():
            if sandbox.wanted == digest:
                self.finish(sandbox)

    def _submit(self, sandbox: Sandbox, blob: Blob) -> Future[FillState]:
        with self._lock:
            task = self._running.get(sandbox.name)
            if task is None:
                task = self._running[sandbox.name] = self._workers.submit(self._run, sandbox, blob)
            return task

    def _run(self, sandbox: Sandbox, blob: Blob) -> FillState:
        try:
            check_home(blob, self._homes.get(sandbox.pool))
            socket, base = self._table.socket(sandbox), base_path(sandbox.key)
            self._fill(socket, base, self._blobs.home(blob.digest), blob.linked, FILL_SECONDS)
            self._table.record_filled(sandbox.name)
        except (ContentError, HostError) as error:
            message = redact(str(error))
            log.warning("sandbox=%s is not filled: %s", sandbox.name, message)
            return FillState("failed", message)
        else:
            log.info("filled sandbox=%s files=%d", sandbox.name, blob.files)
            return FillState("done")
        finally:
            with self._lock:
                # Whoever asks again after a failure begins another try.
                self._running.pop(sandbox.name, None)


def check_home(blob: Blob, home_bytes: int | None) -> None:
    """See that a blob takes no more than half of a home: visitors need the rest.

    Raises:
        ContentError: it takes more.
    """
    if home_bytes is not None and blob.copied_bytes > home_bytes // 2:
        raise ContentError(
            "larger_than_home",
            f"each home would get {blob.copied_bytes} bytes of it, more than half of the {home_bytes} that a home "
            "holds: raise TMPNB_NODE_HOME, or lower TMPNB_NODE_CONTENT_COPY so that more files are links",
        )
