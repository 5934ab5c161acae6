"""A real redirector with its process of event streams, in front of fake nodes, with one content that is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import requests

from redirector.model.content import Content, FetchedBlob
from redirector.model.events import Event
from redirector.store.contents import Contents
from redirector.store.database import Database
from tests.support.base_ports import free_ports
from tests.support.event_streams import PAGE
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry, live_entry
from tests.support.waiting import wait_until

DIGEST = "d" * 64
SPEC = "gh/org/course/HEAD"


@dataclass
class StreamsEntry:
    """The entry, and where its streams are asked for."""

    entry: LiveEntry
    streams_url: str

    @property
    def url(self) -> str:
        """Of a launch of the content."""
        return f"{self.streams_url}/build/{SPEC}"

    def streams_process(self) -> psutil.Process:
        """The process that serves them, once it does."""

        def found() -> list[psutil.Process]:
            children = psutil.Process(self.entry.redirector.pid).children(recursive=True)
            return [child for child in children if {"streams", "--descriptor"} <= set(_command(child))]

        return wait_until(found, 30, "the process of the event streams")[0]

    def workers(self) -> list[psutil.Process]:
        """gunicorn's, which place visitors."""
        children = psutil.Process(self.entry.redirector.pid).children()
        return [child for child in children if "serve" in _command(child) and not child.children()]

    def add(self, name: str, **fields: Any) -> FakeNode:
        """A fake node of which both of gunicorn's workers know once this returns."""
        node = self.entry.add(name, **fields)
        self.settle()
        return node

    def settle(self, **ready: int) -> None:
        """Set how many sandboxes nodes have ready; in effect, with nobody in the waiting room, once this returns."""
        for name, count in ready.items():
            self.entry.known[name].ready = count
        nodes = self.entry.known.values()
        self._wait_for_all(lambda: self._available() == sum(node.ready for node in nodes), "the nodes to be known")
        self._wait_for_all(lambda: self.entry.waiting() == 0, "the waiting room to be empty")

    def _wait_for_all(self, condition: Callable[[], bool], what: str) -> None:
        # Of all of so many answers each of gunicorn's workers has very likely given one.
        wait_until(lambda: all(condition() for _ in range(12)), 30, what)

    def _available(self) -> int:
        return int(requests.get(f"{self.entry.url}/stats", timeout=10).json()["available"])

    def new_content(self, name: str, source: str, digest: str = "") -> None:
        """One more content; without a digest nothing of it was fetched yet."""
        contents = Contents(Database(f"sqlite:///{self.entry.log.parent}/fleet.db"))
        contents.add(Content(name, source), Event(0.0, "content_added", by="ann"))
        if digest:
            self.fetched(name, digest)

    def fetched(self, name: str, digest: str) -> None:
        """What the worker writes once it has fetched a content."""
        contents = Contents(Database(f"sqlite:///{self.entry.log.parent}/fleet.db"))
        contents.fetched(contents.all()[name], FetchedBlob(digest, "c0ffee", 10, 1))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def streams_entry(**settings: str) -> Iterator[StreamsEntry]:
    """Start it; it trusts one proxy, as whoever asks it stands for one."""
    (port,) = free_ports(1)
    listen = {"TMPNB_STREAMS_LISTEN": f"127.0.0.1:{port}", "TMPNB_TRUSTED_PROXIES": "1", "TMPNB_ALLOW_ORIGIN": PAGE}
    with live_entry(**listen, **settings) as entry:
        streams = StreamsEntry(entry, f"http://127.0.0.1:{port}")
        streams.new_content("course", "gh:org/course", DIGEST)
        yield streams
