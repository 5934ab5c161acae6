"""What a client of BinderHub's event stream is told of its launch. Pure. The field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """A launch goes on. People read the message, which ends with a newline."""

    phase: Literal["waiting", "fetching", "launching"]
    message: str


@dataclass(frozen=True, slots=True)
class ReadyEvent:
    """The end of a launch: a sandbox, and what was launched."""

    message: str
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
    phase: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """The end of a launch that cannot be. People read the message, which ends with a newline."""

    message: str
    status_code: int
    phase: Literal["failed"] = "failed"


LaunchEvent = ProgressEvent | ReadyEvent | FailedEvent
