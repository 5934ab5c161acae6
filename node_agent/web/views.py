"""What the node answers, a dataclass an answer: the fields are those of docs/http-api.md.

Times are in seconds since 1970, sizes in bytes. The answer to `GET /stats` is `NodeStats`, and that to a claim `Claim`
or `ClaimOutcomes`, which the fleet reads with the same types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from msgspec import UNSET, UnsetType

from node_agent.content.blob import Blob
from node_agent.pools.specs import PoolSpec
from tmpnb_common.wire import NodeState


@dataclass(frozen=True, slots=True)
class NodeHealthView:
    """The node is well."""

    status: str = "ok"


@dataclass(frozen=True, slots=True)
class IntentView:
    """Whether the node takes visitors, and the newest generation of intent that it holds."""

    state: NodeState
    generation: int


@dataclass(frozen=True, slots=True)
class ReleasedView:
    """How many sandboxes were given back."""

    released: int


@dataclass(frozen=True, slots=True)
class DrainedView:
    """How many ready sandboxes were ended."""

    drained: int


@dataclass(frozen=True, slots=True)
class SandboxEndView:
    """The name of a sandbox that ends, and whether this call ended it."""

    ended: str
    changed: bool


@dataclass(frozen=True, slots=True)
class NodeSandboxView:
    """One sandbox as operators see it, never with its key.

    Spans of time stand beside the times, so that nobody needs this host's clock to read them. They are there only for
    sandboxes that a visitor has.
    """

    name: str
    pool: str
    state: str
    created_at: float
    claimed_at: float | None
    last_activity: float | None
    busy: bool
    memory_bytes: int
    age_seconds: float | UnsetType = UNSET
    idle_seconds: float | UnsetType = UNSET
    ends_in_seconds: float | UnsetType = UNSET
    ends_reason: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class NodeSandboxesView:
    """All sandboxes but those of trials."""

    sandboxes: Sequence[NodeSandboxView]


@dataclass(frozen=True, slots=True)
class NodePoolView:
    """A pool as it is wanted now; `warm` and `capacity` in sandboxes, `content` the digest of a blob or empty."""

    name: str
    image: str
    warm: int
    capacity: int
    content: str

    @classmethod
    def of(cls, spec: PoolSpec) -> Self:
        """The view of a pool as it is wanted."""
        return cls(spec.name, spec.image, spec.warm, spec.capacity, spec.content)


@dataclass(frozen=True, slots=True)
class PassedView:
    """A trial sandbox worked: what it printed, and what it took in seconds and bytes."""

    message: str
    pool: str
    image: str
    start_seconds: float
    printed: str
    cell_seconds: float
    memory_bytes: int
    status: str = "passed"


@dataclass(frozen=True, slots=True)
class BlobView:
    """A blob that this node holds.

    `bytes` are those on this disk, `copied_bytes` those that each home gets, `linked_bytes` those that homes link to.
    `uses` is how many sandboxes and pools need it.
    """

    digest: str
    bytes: int
    files: int
    copied_bytes: int
    linked_bytes: int
    uses: int

    @classmethod
    def of(cls, blob: Blob, uses: int) -> Self:
        """The view of a blob that so many sandboxes and pools need."""
        return cls(blob.digest, blob.bytes, blob.files, blob.copied_bytes, blob.linked_bytes, uses)


@dataclass(frozen=True, slots=True)
class BlobsView:
    """All blobs of this node, whether it takes more, and the size of homes by pool, where that is bounded."""

    works: bool
    problem: str
    limit_bytes: int
    homes: dict[str, int]
    blobs: Sequence[BlobView]
