"""What comes with a request to the admin API, a dataclass a call: the fields are those of docs/http-api.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from tmpnb_common.json_object import LINE_LIMIT, LINE_PATTERN, Line, Moment
from tmpnb_common.wire import DEFAULT_POOL

LONGEST_SECONDS = 7 * 86400
"""How long a notice may be shown at most."""

MOST_SANDBOXES = 10_000
"""In one pool, as nodes have it."""

NOTICE_LIMIT = 300
"""Characters of a notice, as nodes have it."""


def _needed(description: str) -> Meta:
    return Meta(min_length=1, max_length=LINE_LIMIT, pattern=LINE_PATTERN, description=description)


NodeUrl = Annotated[str, _needed("the node's public address")]
Host = Annotated[str, _needed("the node's address")]
ContentName = Annotated[str, _needed("the content's name")]
ContentSource = Annotated[str, _needed("where the content comes from")]
Pattern = Annotated[str, _needed("what links may ask for")]
Image = Annotated[str, _needed("the image that the pool's sandboxes are to run")]
Sandboxes = Annotated[int, Meta(ge=0, le=MOST_SANDBOXES, description=f"a whole number from 0 to {MOST_SANDBOXES}")]
NoticeSeconds = Annotated[
    int, Meta(ge=0, le=LONGEST_SECONDS, description=f"a whole number from 0 to {LONGEST_SECONDS}")
]


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """Who decides, and why. Calls that only decide, such as removing a node, take nothing else."""

    by: Line = "admin"
    """The operator's name, where the token does not prove it."""
    reason: Line = ""
    force: bool = False
    """Whether the fleet's guards are overruled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNodeRequest(DecisionRequest):
    """A node that is to join the fleet."""

    url: NodeUrl
    name: Line = ""
    """Empty: the node's own name, or one that is made from its address."""
    control_url: Line = ""
    """Where the redirector speaks to it, if not at `url`."""
    token: Line = ""


@dataclass(frozen=True, slots=True)
class DrainRequest(DecisionRequest):
    """A node that is to get no more visitors."""

    end_sessions_at: Moment = 0.0
    """When sessions that are left are ended, in seconds since 1970; 0: they end by themselves."""


@dataclass(frozen=True, slots=True)
class EndSessionRequest(DecisionRequest):
    """A session that is to end."""

    node: Line = ""
    """Empty: wherever it is."""


@dataclass(frozen=True, slots=True)
class SayRequest(DecisionRequest):
    """A notice for the pages of sessions."""

    text: Line = ""
    """Empty: the notice ends that is shown."""
    seconds: NoticeSeconds = 0
    """How long it is shown."""
    nodes: tuple[Line, ...] = ()
    """Empty: all nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoolRequest(DecisionRequest):
    """An image that a pool is to move to, or another size for it."""

    image: Line = ""
    """What the pool's sandboxes are to run; empty: as before."""
    capacity: Sandboxes | None = None
    """How many the pool may hold; missing: as before."""
    warm: Sandboxes | None = None
    """How many of them are kept ready; missing: all of them where that was so, else as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddContentRequest(DecisionRequest):
    """A content that is to be known by a name."""

    name: ContentName
    source: ContentSource
    """`gh:org/repo@ref`, `gl:group/project@ref`, `git+https://host/path@ref`, an archive's URL, or `dir:/directory`."""
    pool: Line = DEFAULT_POOL
    open: Line = ""
    """The file that its link opens; empty: where the pool lands."""
    whole_pool: bool = False
    """Whether every home of the pool is made with it."""
    token: Line = ""
    """Lets it be fetched where that needs a login; sent to the source's host only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRequest(DecisionRequest):
    """What links may ask for, or may not any more."""

    pattern: Pattern
    """A source in which a part between two slashes may have one `*`, such as `gh:org/*`."""
    pool: Line = DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class FetchImageRequest:
    """An image that a node is to fetch."""

    image: Image


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A pool that is to be tried by a sandbox of its own."""

    pool: Line = DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A node that comes by itself."""

    url: NodeUrl
    control_url: Line = ""
    token: Line = ""


@dataclass(frozen=True, slots=True)
class LeaveRequest:
    """A node that goes by itself."""

    url: NodeUrl
    token: Line = ""


@dataclass(frozen=True, slots=True)
class HostRequest:
    """A node by its address alone, as tmpnb-redirector had it."""

    host: Host
    token: Line = ""
