"""Clients of the event streams at `/build/`: one that reads as BinderHub's clients do, and what it heard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

PAGE = "https://book.example"
EVENT_SOURCE = {"Accept": "text/event-stream", "Origin": PAGE, "Sec-Fetch-Mode": "cors"}
"""What a browser's EventSource sends from a page of another site."""


@dataclass
class Heard:
    """One event."""

    id: str
    data: dict[str, Any]

    @property
    def phase(self) -> str:
        return str(self.data["phase"])


@dataclass
class Stream:
    """An open stream."""

    answer: requests.Response
    comments: list[str] = field(default_factory=list)
    last_id: str = ""

    def __post_init__(self) -> None:
        # One for all readers: a generator that is dropped would close the stream.
        self._events = self._read()

    def __iter__(self) -> Iterator[Heard]:
        return self._events

    def _read(self) -> Iterator[Heard]:
        for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
            name, _, value = line.partition(": ")
            match name:
                case "":
                    if line:
                        self.comments.append(line)
                case "id":
                    self.last_id = value
                case "data":
                    yield Heard(self.last_id, json.loads(value))

    def until(self, phase: str) -> list[Heard]:
        """What is heard up to and with the first event of a phase."""
        heard = []
        for event in self:
            heard.append(event)
            if event.phase == phase:
                return heard
        raise AssertionError(f"the stream ended after {[event.data for event in heard]}")

    def next(self) -> Heard:
        """The next event."""
        return next(self._events)


@contextmanager
def opened(url: str, headers: Mapping[str, str] = EVENT_SOURCE, seconds: float = 60) -> Iterator[Stream]:
    """Open a stream; it is closed with the block."""
    with requests.get(url, headers=headers, stream=True, timeout=seconds) as answer:
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        answer.encoding = "utf-8"
        stream = Stream(answer)
        yield stream
