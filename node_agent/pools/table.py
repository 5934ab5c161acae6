"""What is there: every sandbox of this node with its directory, under the one lock that guards both."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from node_agent.errors import HostError, UnknownSandbox
from node_agent.pools.counters import Counters
from node_agent.pools.directory_state import DirectoryState
from node_agent.pools.ledger import Ledger
from node_agent.pools.planning import Counts
from node_agent.sandboxes import Sandbox, State
from tmpnb_common.keys import name_of

log = logging.getLogger("pools")


class SandboxTable:
    """Every sandbox that this node knows, by name, and the ledger beneath; safe to call from any thread.

    Each call holds `lock`. Whoever decides by several calls holds it around all of them: so a sandbox is handed out at
    most once, and the table never differs from the directories. Nothing slow happens under it: a claim costs a
    connect, a link and a rename.
    """

    def __init__(self, ledger: Ledger, counters: Counters) -> None:
        """An empty table above a ledger."""
        self.lock = threading.RLock()
        self.changed = threading.Event()
        """Set by whatever may call for a start or an end, so that neither waits for the next tick."""
        self._ledger = ledger
        self._counters = counters
        self._by_name: dict[str, Sandbox] = {}

    # Reading

    def all(self) -> list[Sandbox]:
        """Every sandbox, in the order of their registration."""
        with self.lock:
            return list(self._by_name.values())

    def get(self, name: str) -> Sandbox:
        """The sandbox of this name.

        Raises:
            UnknownSandbox: there is none.
        """
        with self.lock:
            sandbox = self._by_name.get(name)
        if sandbox is None:
            raise UnknownSandbox(name)
        return sandbox

    def find(self, name: str, *states: State) -> Sandbox | None:
        """The sandbox of this name, if it is there and in one of these states, or in any where none is given."""
        with self.lock:
            sandbox = self._by_name.get(name)
        return sandbox if sandbox is not None and (not states or sandbox.state in states) else None

    def ready(self, pool: str | None = None) -> list[Sandbox]:
        """The ready sandboxes of one pool or of all, oldest first."""
        return [each for each in self.all() if each.state == "ready" and pool in (None, each.pool)]

    def counts(self, pool: str, image: str, content: str = "") -> Counts:
        """The number of a pool's sandboxes by state; `image` and `content` are what the pool should have."""
        states: Counter[str] = Counter()
        outdated = 0
        for sandbox in self.all():
            if sandbox.pool == pool:
                states[sandbox.state] += 1
                outdated += sandbox.state == "ready" and (sandbox.image, sandbox.content) != (image, content)
        return Counts(states["ready"], states["starting"], states["claimed"], states["ending"], outdated)

    def content_uses(self, digest: str) -> int:
        """How many sandboxes, in whatever state, were given a blob or wait for it."""
        return sum(digest in (each.content, each.wanted) for each in self.all())

    def socket(self, sandbox: Sandbox) -> Path:
        """The path of the socket that a sandbox listens at."""
        return self._ledger.socket(sandbox.key, claimed=sandbox.state == "claimed")

    def directory_states(self) -> dict[str, DirectoryState]:
        """What lies in the run directory, by key.

        Raises:
            HostError: it cannot be read.
        """
        with self.lock:
            return self._ledger.directory_states()

    # From its start to its end

    def register(self, sandbox: Sandbox) -> bool:
        """Take in a sandbox: from now on it takes up a slot, and its directory is not stray.

        False: another one bears its name.
        """
        with self.lock:
            if sandbox.name in self._by_name:
                return False
            self._by_name[sandbox.name] = sandbox
            self.changed.set()
            return True

    def make_directory(self, sandbox: Sandbox) -> Path:
        """Make the directory for a sandbox that is about to start.

        Raises:
            HostError: the file system refuses.
        """
        with self.lock:
            return self._ledger.create(sandbox.key)

    def mark_ready(self, name: str) -> Sandbox | None:
        """Close a sandbox's directory to its code, and offer it; None: it was ended in the meantime.

        Raises:
            HostError: the file system refuses.
        """
        with self.lock:
            sandbox = self.find(name, "starting")
            if sandbox is None:
                return None
            self._ledger.seal(sandbox.key)
            return self._put(sandbox, state="ready")

    def held_by(self, ticket: str) -> Sandbox | None:
        """The claimed sandbox that a ticket got, while it is there."""
        with self.lock:
            key = self._ledger.ticket_holder(ticket)
            return self.find(name_of(key), "claimed") if key is not None else None

    def claim(self, sandbox: Sandbox, ticket: str, wanted: str = "", *, embedded: bool = False) -> Sandbox:
        """Make a ready sandbox the visitor's; the blob that is wanted in its home is noted before anything else.

        Raises:
            HostError: the file system refuses; the sandbox is nobody's still.
        """
        if wanted == sandbox.content:
            wanted = ""
        with self.lock:
            claimed_at = self._ledger.claim(sandbox.key, ticket, wanted, embedded=embedded)
            claimed = self._put(sandbox, state="claimed", claimed_at=claimed_at, wanted=wanted, embedded=embedded)
            self.changed.set()
            return claimed

    def put_back(self, attempts: Iterable[str]) -> int:
        """Take sandboxes back that these claims were the last to get and into which nobody has come; their number."""
        with self.lock:
            unused = [
                each
                for each in self.all()
                if each.state == "claimed" and each.attempt in attempts and not self._ledger.visited(each.key)
            ]
            for sandbox in unused:
                if sandbox.wanted:
                    # Its home may hold a part of that already, and the next visitor comes for something else.
                    self.end(sandbox.name, "abandoned")
                    continue
                self._ledger.put_back(sandbox.key)
                nobodys: dict[str, Any] = {"claimed_at": None, "last_activity": None, "page_seen": None}
                self._put(sandbox, state="ready", attempt="", embedded=False, **nobodys)
            self.changed.set()
            return len(unused)

    def end(self, name: str, reason: str) -> bool:
        """Take a sandbox out of use at once; the reconciler ends its processes. False: it is ending already.

        Raises:
            UnknownSandbox: there is none of this name.
        """
        with self.lock:
            sandbox = self.get(name)
            if sandbox.state == "ending":
                return False
            self._put(sandbox, state="ending")
            self._counters.ends.labels(reason).inc()
            self.changed.set()
            try:
                # As soon as the directory is gone, nginx answers "gone".
                self._ledger.remove(sandbox.key)
            except HostError as error:
                # `release` removes it again, and keeps the sandbox until that has worked.
                log.warning("sandbox=%s: %s", sandbox.name, error)
            return True

    def release(self, name: str) -> None:
        """Drop a sandbox whose processes are gone, with its directory: its slot is free.

        Raises:
            HostError: the directory cannot be removed; the slot stays taken.
        """
        with self.lock:
            if sandbox := self.find(name):
                self._ledger.remove(sandbox.key)
                del self._by_name[name]
                self.changed.set()

    def discard(self, key: str) -> None:
        """Remove a directory that belongs to no sandbox.

        Raises:
            HostError: it cannot be removed.
        """
        with self.lock:
            if name_of(key) not in self._by_name:
                self._ledger.remove(key)

    # What is learned of sandboxes

    def record_attempt(self, name: str, attempt: str) -> Sandbox:
        """Note which claim was the last to get a sandbox: abandoning an earlier one does not take it away.

        Raises:
            UnknownSandbox: there is none of this name.
        """
        with self.lock:
            return self._put(self.get(name), attempt=attempt)

    def record_filled(self, name: str) -> None:
        """Note that a claimed sandbox's home holds what its visitor came for.

        Raises:
            HostError: the file system refuses.
        """
        with self.lock:
            if sandbox := self.find(name, "claimed"):
                self._ledger.mark_filled(sandbox.key)
                self._put(sandbox, filled=True)

    def record_visits(self) -> None:
        """Note which visitors have come for the first time, as nginx saw it."""
        with self.lock:
            for sandbox in self.all():
                if sandbox.state == "claimed" and not sandbox.visited and self._ledger.visited(sandbox.key):
                    self._put(sandbox, visited=True)

    def record_visit(self, name: str) -> None:
        """Note that the visitor of a session has come."""
        with self.lock:
            if sandbox := self.find(name, "claimed"):
                self._put(sandbox, visited=True)

    def record_activity(self, name: str, at: float) -> None:
        """Note that somebody or something was at work in a session at `at`, in seconds since 1970."""
        with self.lock:
            if sandbox := self.find(name, "claimed"):
                self._put(sandbox, visited=True, last_activity=max(at, sandbox.last_activity or 0.0))

    def record_page(self, name: str, at: float) -> None:
        """Note that a page of a session was there at `at`, in seconds since 1970."""
        with self.lock:
            if sandbox := self.find(name, "claimed"):
                self._put(sandbox, page_seen=max(at, sandbox.page_seen or 0.0))

    def record_busy(self, name: str, busy: bool) -> None:
        """Note whether a kernel of a session computes."""
        with self.lock:
            if sandbox := self.find(name, "claimed"):
                self._put(sandbox, busy=busy)

    def record_memory(self, name: str, used: int) -> None:
        """Note how many bytes of memory a sandbox uses."""
        with self.lock:
            if sandbox := self.find(name):
                self._put(sandbox, memory=used)

    def _put(self, sandbox: Sandbox, **changes: Any) -> Sandbox:
        """The sandbox with these changes; its place in the order of registration stays."""
        self._by_name[sandbox.name] = changed = replace(sandbox, **changes)
        return changed
