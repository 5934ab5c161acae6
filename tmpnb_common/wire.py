"""The format that nodes and redirectors speak: parsed once, at the edge, into frozen objects. Standard library only.

Field names are tmpnb's where tmpnb had one. Readers ignore fields they do not know; a required field that is missing
or of the wrong type is a `WireError`. An original tmpnb node sends four keys only: everything else has a default that
says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeGuard

from tmpnb_common.landing import MOST_PREFIXES, PREFIX

PROTOCOL = 1
"""Version of this format. Raised only by a change that an older reader would misunderstand."""

DEFAULT_POOL = "default"
"""The pool of whoever names none; every node has it."""

TEXT_LIMIT = 4096
"""Longest text, in characters, that a field may hold."""

COUNT_LIMIT = 2**53
"""No count is as large: what follows the largest one has to fit into a database, and every JSON reader knows it."""

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


class WireError(ValueError):
    """What the other side sent is not of this format."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """One pool's slots, in sandboxes."""

    available: int
    capacity: int
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    image: str = ""
    problem: str = ""
    """Why sandboxes of this pool do not start, in words; empty while they do."""
    unfit: str = ""
    """Why visitors should rather go elsewhere, in words: its sandboxes start and do not serve. Empty: none known."""
    stale: int = 0
    """Of the ready ones those of an image that the pool has left: they go as their successors come."""
    ending: int = 0
    """Out of use and not removed yet: they take up slots until they are."""
    fetching: str = ""
    """How far the pool's image, which is not there yet, has been fetched, in words; empty once it is there."""


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What `GET /stats` of a node says.

    `available` is 0 while the node drains. `generation` is the newest fleet generation of intent that the node holds.
    `protocol` 0 is an original tmpnb node, which knows neither tickets nor control calls.
    """

    available: int
    capacity: int
    version: str = ""
    container_image: str = ""
    protocol: int = 0
    node_id: str = ""
    boot_id: str = ""
    name: str = ""
    seq: int = 0
    state: NodeState = "active"
    generation: int = 0
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    ending: int = 0
    claims_total: int = 0
    refused_total: int = 0
    max_age_seconds: int = 0
    """After this age a session ends at the latest; 0: unknown or no limit."""
    unremovable: str = ""
    """What has been in the way of removals for minutes, so that slots stay taken; empty while nothing has."""
    pools: Mapping[str, PoolStats] = field(default_factory=dict)
    landing_prefixes: tuple[str, ...] = ()
    """First parts of addresses at which visitors may come in, beyond those that everybody knows."""

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values, tmpnb's four keys first."""
        return asdict(self) | {"landing_prefixes": list(self.landing_prefixes)}


@dataclass(frozen=True, slots=True)
class Claim:
    """A sandbox that was handed out."""

    url: str
    """A path below the node's public URL, or absolute where every sandbox has an origin of its own."""
    name: str = ""
    available: int | None = None
    """The node's free slots after this claim; None from an original tmpnb."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim got nothing: `starting` means that asking again in a moment is worth it, `bad_request` that the wish
    makes no sense to this node, which is otherwise well, `abandoned` that nobody waits for this claim any more.
    """

    status: RefusalStatus
    message: str = ""


def parse_stats(raw: object) -> NodeStats:
    """Read a node's stats.

    Raises:
        WireError: it is no node's, or a field has the wrong type or a negative count.
    """
    reader = _Reader(raw, "stats")
    if reader.has("hosts"):
        # A redirector that placed on another one, or on itself, would count its own slots and ask itself in a circle.
        raise WireError("stats: these are a redirector's, which is no node")
    protocol = reader.count("protocol", 0)
    state = reader.text("state", "active")
    if state not in ("active", "draining"):
        raise WireError(f"stats: state is {state!r:.40}, neither active nor draining")
    pools = {}
    for name, pool in reader.mapping("pools").items():
        if not _is_text(name):
            raise WireError("stats: the name of a pool is not a short text")
        pool_reader = _Reader(pool, f"stats: pool {name!r:.40}")
        pools[name] = PoolStats(
            available=pool_reader.count("available"),
            capacity=pool_reader.count("capacity"),
            starting=pool_reader.count("starting", 0),
            startable=pool_reader.count("startable", 0),
            claimed=pool_reader.count("claimed", 0),
            image=pool_reader.text("image", ""),
            problem=pool_reader.text("problem", ""),
            unfit=pool_reader.text("unfit", ""),
            stale=pool_reader.count("stale", 0),
            ending=pool_reader.count("ending", 0),
            fetching=pool_reader.text("fetching", ""),
        )
    available, capacity = reader.count("available"), reader.count("capacity")
    return NodeStats(
        available=available,
        capacity=capacity,
        version=reader.text("version", ""),
        container_image=reader.text("container_image", ""),
        protocol=protocol,
        # A node that speaks this protocol always says who it is: the fleet relies on it to notice another machine.
        node_id=reader.text("node_id") if protocol else "",
        boot_id=reader.text("boot_id") if protocol else "",
        name=reader.text("name", ""),
        seq=reader.count("seq", 0),
        state="draining" if state == "draining" else "active",
        generation=reader.count("generation", 0),
        starting=reader.count("starting", 0),
        startable=reader.count("startable", 0),
        claimed=reader.count("claimed", max(0, capacity - available) if not protocol else 0),
        claims_total=reader.count("claims_total", 0),
        refused_total=reader.count("refused_total", 0),
        max_age_seconds=reader.count("max_age_seconds", 0),
        ending=reader.count("ending", 0),
        unremovable=reader.text("unremovable", ""),
        pools=pools,
        landing_prefixes=_landing_prefixes(reader),
    )


def _landing_prefixes(reader: _Reader) -> tuple[str, ...]:
    prefixes = reader.sequence("landing_prefixes") if reader.has("landing_prefixes") else []
    if len(prefixes) > MOST_PREFIXES or not all(isinstance(each, str) and PREFIX.fullmatch(each) for each in prefixes):
        raise WireError("stats: landing_prefixes are not a few short first parts of paths")
    return tuple(prefixes)


def parse_claim(raw: object) -> Claim:
    """Read a successful answer to `POST /api/spawn`.

    Raises:
        WireError: there is no usable URL in it.
    """
    reader = _Reader(raw, "claim")
    url = reader.text("url")
    if not url.startswith(("/", "http://", "https://")) or url.startswith("//") or "\\" in url or not url.isprintable():
        raise WireError(f"claim: url {url!r:.60} is neither a path nor an http address")
    return Claim(
        url=url,
        name=reader.text("name", ""),
        available=reader.count("available") if reader.has("available") else None,
    )


def parse_claims(raw: object, count: int) -> list[Claim | Refusal]:
    """Read the answer to a claim with `count` tickets: what became of each, in their order.

    Raises:
        WireError: it is none, or of another number of tickets.
    """
    reader = _Reader(raw, "claims")
    outcomes = reader.sequence("claims")
    if len(outcomes) != count:
        raise WireError(f"claims: {len(outcomes)} outcomes for {count} tickets")
    available = reader.count("available")
    return [_outcome(outcome, available) for outcome in outcomes]


def _outcome(raw: object, available: int) -> Claim | Refusal:
    reader = _Reader(raw, "claims: an outcome")
    if reader.has("url"):
        return replace(parse_claim(raw), available=available)
    match reader.text("status"):
        case "full" | "starting" | "draining" | "forbidden" | "unknown_pool" | "bad_request" | "abandoned" as status:
            return Refusal(status, reader.text("message", ""))
        case status:
            raise WireError(f"claims: an outcome is {status!r:.40}")


def parse_refusal(status_code: int, raw: object) -> Refusal:
    """Read a refused claim.

    Raises:
        WireError: the answer is no refusal that this format knows, so the node is unwell rather than full.
    """
    reader = _Reader(raw, f"refused claim with status {status_code}")
    message = reader.text("message", "")
    match status_code, reader.text("status", ""):
        case 429, "starting":
            return Refusal("starting", message)
        case 429, _:
            return Refusal("full", message)
        case 409, "draining" | "abandoned" as status:
            return Refusal(status, message)
        case 403, _:
            return Refusal("forbidden", message)
        case 404, "unknown_pool":
            return Refusal("unknown_pool", message)
        case 400 | 413, "bad_request":
            return Refusal("bad_request", message)
        case _, status:
            raise WireError(f"claim answered {status_code} {status!r:.40}")


def ticket_mark(ticket: str) -> str:
    """A ticket's short form for logs, the same at redirector and node: it tells visitors apart and opens nothing."""
    return hashlib.sha256(ticket.encode()).hexdigest()[:8]


class _Reader:
    """Typed access to one JSON object, with errors that name the field."""

    def __init__(self, raw: object, what: str) -> None:
        if not isinstance(raw, dict):
            raise WireError(f"{what}: not a JSON object")
        self._raw: dict[Any, Any] = raw
        self._what = what

    def has(self, name: str) -> bool:
        return name in self._raw

    def count(self, name: str, default: int | None = None) -> int:
        value = self._raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < COUNT_LIMIT:
            raise WireError(f"{self._what}: {name} is missing or not a count")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value: Any = self._raw.get(name, default)
        if not _is_text(value):
            raise WireError(f"{self._what}: {name} is missing or not a short text")
        return value

    def sequence(self, name: str) -> list[Any]:
        value = self._raw.get(name)
        if not isinstance(value, list):
            raise WireError(f"{self._what}: {name} is missing or not a list")
        return value

    def mapping(self, name: str) -> dict[Any, Any]:
        value = self._raw.get(name, {})
        if not isinstance(value, dict):
            raise WireError(f"{self._what}: {name} is not an object")
        return value


def _is_text(value: object) -> TypeGuard[str]:
    """Whether it is a text that databases, logs and pages take: JSON also holds halves of characters and zero bytes."""
    if not isinstance(value, str) or len(value) > TEXT_LIMIT or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


"""The pool that serves those who name none."""
