"""The format that nodes and redirectors speak: parsed once, at the edge, into frozen objects.

Field names are tmpnb's where tmpnb had one. Readers ignore fields they do not know; a required field that is missing
or of the wrong type is a `JsonError`. An original tmpnb node sends four keys only: everything else has a default that
says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tmpnb_common.json_object import Count, InnerPath, JsonError, MaybeDigest, MaybeTicket, Text, Ticket, decode
from tmpnb_common.landing import MOST_PREFIXES, PREFIX

PROTOCOL = 1
"""Version of this format. Raised only by a change that an older reader would misunderstand."""

DEFAULT_POOL = "default"
"""The pool of whoever names none; every node has it."""

TICKETS_AT_ONCE = 16
"""Most tickets in one claim call: by then the call itself costs little beside them."""

ATTEMPTS_AT_ONCE = 64
"""Most attempts in one call that abandons them."""

TRIAL_SECONDS = 200
"""Longest that a node takes to try a pool (`POST /api/selftest`). Whoever passes it on waits longer, the further out
the longer, so that the answer is the node's own: see "Time-outs" in docs/architecture.md.
"""


NodeState = Literal["active", "draining"]
RefusalStatus = Literal["full", "starting", "draining", "forbidden", "unknown_pool", "bad_request", "abandoned"]


LandingPrefix = Annotated[str, Meta(pattern=f"^{PREFIX.pattern}$(?!\\n)", description="a short first part of a path")]
LandingPrefixes = Annotated[
    tuple[LandingPrefix, ...], Meta(max_length=MOST_PREFIXES, description="a list of a few short first parts of paths")
]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """One pool's slots, in sandboxes."""

    available: Count
    capacity: Count
    starting: Count = 0
    startable: Count = 0
    claimed: Count = 0
    image: Text = ""
    problem: Text = ""
    """Why sandboxes of this pool do not start, in words; empty while they do."""
    unfit: Text = ""
    """Why visitors should rather go elsewhere, in words: its sandboxes start and do not serve. Empty: none known."""
    stale: Count = 0
    """Of the ready ones those of an image or a content that the pool has left: they go as their successors come."""
    ending: Count = 0
    """Out of use and not removed yet: they take up slots until they are."""
    fetching: Text = ""
    """How far the pool's image, which is not there yet, has been fetched, in words; empty once it is there."""
    content: Text = ""
    """The digest of the blob that is in the home of each new sandbox of this pool; empty: none."""


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What `GET /stats` of a node says.

    `available` is 0 while the node drains. `generation` is the newest fleet generation of intent that the node holds.
    `protocol` 0 is an original tmpnb node, which knows neither tickets nor control calls.
    """

    available: Count
    capacity: Count
    version: Text = ""
    container_image: Text = ""
    protocol: Count = 0
    node_id: Text = ""
    boot_id: Text = ""
    name: Text = ""
    seq: Count = 0
    state: NodeState = "active"
    generation: Count = 0
    starting: Count = 0
    startable: Count = 0
    claimed: Count = 0
    ending: Count = 0
    claims_total: Count = 0
    refused_total: Count = 0
    max_age_seconds: Count = 0
    """After this age a session ends at the latest; 0: unknown or no limit."""
    unremovable: Text = ""
    """What has been in the way of removals for minutes, so that slots stay taken; empty while nothing has."""
    pools: Mapping[Text, PoolStats] = field(default_factory=dict)
    landing_prefixes: LandingPrefixes = ()
    """First parts of addresses at which visitors may come in, beyond those that everybody knows."""
    holds_content: bool = False
    """Whether this node's software takes blobs and fills sandboxes with them."""

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values, tmpnb's four keys first."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What one visitor wants of a node: one of the `tickets` in the body of `POST /api/spawn`."""

    ticket: Ticket
    path: InnerPath = ""
    """The path and query inside the sandbox; empty for the pool's landing page."""
    attempt: MaybeTicket = ""
    """The search that this claim belongs to: what it got is given back by this, whenever the node gets to it."""
    phone: bool = False
    """A notebook is opened alone, at Notebook 7's page, where the sandbox has one."""
    content: MaybeDigest = ""
    """The blob that the sandbox will be filled with by a call of its own; empty: none."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sandbox that was handed out."""

    url: Text
    """A path below the node's public URL, or absolute where every sandbox has an origin of its own."""
    name: Text = ""
    available: Count | None = None
    """The node's free slots after this claim; None from an original tmpnb."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim got nothing: `starting` means that asking again in a moment is worth it, `bad_request` that the wish
    makes no sense to this node, which is otherwise well, `abandoned` that nobody waits for this claim any more.
    """

    status: RefusalStatus
    message: Text = ""


@dataclass(frozen=True, slots=True)
class _Redirector:
    """What tells a redirector's stats from an original node's."""

    hosts: Any = msgspec.UNSET


def parse_stats(body: bytes) -> NodeStats:
    """Read a node's stats.

    Raises:
        JsonError: they are no node's, or a field has the wrong type or a negative count.
    """
    stats = decode(NodeStats, body, "stats")
    if stats.protocol:
        # A node that speaks this protocol always says who it is: the fleet relies on it to notice another machine.
        for name in ("node_id", "boot_id"):
            if not getattr(stats, name):
                raise JsonError(f"stats: {name} is missing")
        return stats
    if decode(_Redirector, body, "stats").hosts is not msgspec.UNSET:
        # A redirector that placed on another one, or on itself, would count its own slots and ask itself in a circle.
        raise JsonError("stats: these are a redirector's, which is no node")
    claimed = stats.claimed or max(0, stats.capacity - stats.available)
    return replace(stats, node_id="", boot_id="", claimed=claimed)


def parse_claim(body: bytes) -> Claim:
    """Read the answer to a claim without tickets, as an original tmpnb gives it.

    Raises:
        JsonError: there is no usable URL in the answer.
    """
    return _checked(decode(Claim, body, "claim"))


def _checked(claim: Claim) -> Claim:
    url = claim.url
    if not url.startswith(("/", "http://", "https://")) or url.startswith("//") or "\\" in url or not url.isprintable():
        raise JsonError(f"claim: url {url!r:.60} is neither a path nor an http address")
    return claim


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """What became of one ticket: `url` and `name` of a sandbox, or `status` and `message` of a refusal."""

    url: Text = ""
    name: Text = ""
    status: RefusalStatus | None = None
    message: Text = ""


@dataclass(frozen=True, slots=True)
class ClaimOutcomes:
    """The answer to a claim with tickets: what became of each, in their order."""

    claims: tuple[ClaimOutcome, ...]
    available: Count
    """The pool's free slots after all of them."""


def parse_claims(body: bytes, count: int) -> list[Claim | Refusal]:
    """Read the answer to a claim with `count` tickets: what became of each, in their order.

    Raises:
        JsonError: it is none, or of another number of tickets.
    """
    answer = decode(ClaimOutcomes, body, "claims")
    if len(answer.claims) != count:
        raise JsonError(f"claims: {len(answer.claims)} outcomes for {count} tickets")
    return [_outcome(outcome, answer.available) for outcome in answer.claims]


def _outcome(outcome: ClaimOutcome, available: int) -> Claim | Refusal:
    if outcome.url:
        return _checked(Claim(outcome.url, outcome.name, available))
    if outcome.status is None:
        raise JsonError("claims: an outcome has neither a url nor a status")
    return Refusal(outcome.status, outcome.message)


@dataclass(frozen=True, slots=True)
class _Refused:
    status: Text = ""
    message: Text = ""


def parse_refusal(status_code: int, body: bytes) -> Refusal:
    """Read a refused claim.

    Raises:
        JsonError: the answer is no refusal that this format knows, so the node is unwell rather than full.
    """
    refused = decode(_Refused, body, f"refused claim with status {status_code}")
    match status_code, refused.status:
        case 429, "starting":
            return Refusal("starting", refused.message)
        case 429, _:
            return Refusal("full", refused.message)
        case 409, "draining" | "abandoned" as status:
            return Refusal(status, refused.message)
        case 403, _:
            return Refusal("forbidden", refused.message)
        case 404, "unknown_pool":
            return Refusal("unknown_pool", refused.message)
        case 400 | 413, "bad_request":
            return Refusal("bad_request", refused.message)
        case _, status:
            raise JsonError(f"claim answered {status_code} {status!r:.40}")


def ticket_mark(ticket: str) -> str:
    """A ticket's short form for logs, the same at redirector and node: it tells visitors apart and opens nothing."""
    return hashlib.sha256(ticket.encode()).hexdigest()[:8]
