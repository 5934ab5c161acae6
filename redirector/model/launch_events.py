"""What a client of BinderHub's event stream is told of its launch. Pure. The fields are those of the JSON, to which
each event's phase is added.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FAILED_MILLISECONDS = 60_000
"""When a client connects again that does so by itself after a failure: it would hear the same."""

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Of an answer that is a stream: no proxy keeps it back."""

ASKED_HEADERS = "Cache-Control, Last-Event-ID, Authorization, X-XSRFToken"
"""What clients that ask by a script may send, which browsers ask about before."""


class _Event(msgspec.Struct, frozen=True, tag_field="phase"):
    message: str
    """People read it; it ends with a newline."""


class WaitingEvent(_Event, frozen=True, tag="waiting"):
    """There is no room: where in the waiting room the launch stands."""


class FetchingEvent(_Event, frozen=True, tag="fetching"):
    """The repository's files are fetched for the first time."""


class LaunchingEvent(_Event, frozen=True, tag="launching"):
    """There is a sandbox, and its home is being filled."""


class ReadyEvent(_Event, frozen=True, tag="ready"):
    """The end of a launch: a sandbox, and what was launched."""

    url: str
    """Of the sandbox's Jupyter server: absolute, with a slash at its end. Whoever knows it is in."""
    image: str
    repo_url: str
    binder_ref_url: str
    """The repository's page at the forge, at what was launched."""
    binder_launch_host: str
    binder_request: str
    binder_persistent_request: str
    """The same launch, by the commit."""
    token: Literal[""] = ""
    """Empty, and present: clients put it into each address that they ask, and one that is not empty also into a header,
    which costs a preflight for each request."""


class FailedEvent(_Event, frozen=True, tag="failed"):
    """The end of a launch that cannot be."""

    status_code: int


LaunchEvent = WaitingEvent | FetchingEvent | LaunchingEvent | ReadyEvent | FailedEvent


def failed_text(event: FailedEvent) -> str:
    """A failure as the last text of an event stream."""
    return f"retry: {FAILED_MILLISECONDS}\ndata: {msgspec.json.encode(event).decode()}\n\n"
