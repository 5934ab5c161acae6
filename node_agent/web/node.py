"""What the HTTP application is about: one node, as its blueprints see it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from node_agent.content.store import BlobStore
from node_agent.lifecycle.filling import HomeFiller
from node_agent.lifecycle.landings import Landing, Landings
from node_agent.lifecycle.selftest import SelftestRunner
from node_agent.membership.announcement import AnnouncementStore
from node_agent.membership.identity import Identity
from node_agent.membership.intent import IntentStore
from node_agent.pages import Pages
from node_agent.pools.claims import SandboxClaims
from node_agent.pools.counters import Counters, total
from node_agent.pools.culling import Limits
from node_agent.pools.overrides import PoolOverrides
from node_agent.pools.pools import Pools
from node_agent.pools.table import SandboxTable
from node_agent.runtimes.contract import ImageState
from node_agent.web.addresses import Addresses
from tmpnb_common.landing import prefixes_beyond
from tmpnb_common.wire import DEFAULT_POOL, PROTOCOL, NodeStats


@dataclass(frozen=True, slots=True)
class NodeContext:
    """The collaborators, and the settings that show in answers."""

    name: str
    version: str
    landing_prefixes: tuple[str, ...]
    entry_url: str
    fleet_only: bool
    addresses: Addresses
    limits: Callable[[str], Limits]
    """Those of a pool."""
    warn_seconds: int
    pages: Pages
    clock: Callable[[], float]
    identity: Identity
    intent: IntentStore
    announcement: AnnouncementStore
    table: SandboxTable
    pools: Pools
    landings: Landings
    claims: SandboxClaims
    blobs: BlobStore
    filler: HomeFiller
    homes: Mapping[str, int]
    """How many bytes a home holds, by pool; a pool is missing where nothing bounds it."""
    counters: Counters
    overrides: PoolOverrides
    selftest: SelftestRunner
    image_state: Callable[[str], ImageState]
    """Whether an image is there; asking has one that is not fetched."""
    removal_problem: Callable[[], str]
    """What has been in the way of removals for minutes; empty while nothing has."""
    problem: Callable[[], str]
    """Why the node is not well; empty while it is."""
    _seq: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def landing_of(self, pool: str) -> Landing:
        """Return where visitors of a pool land."""
        spec = self.pools.spec(pool) or self.pools.spec(DEFAULT_POOL)
        assert spec is not None, "the default pool is always there"
        return self.landings.of(spec)

    def all_prefixes(self, pools: Iterable[str]) -> tuple[str, ...]:
        """First parts of addresses at which visitors may come in, beyond those that everybody knows."""
        return prefixes_beyond(self.landing_prefixes, (self.landing_of(pool).page for pool in pools))

    def stats(self) -> NodeStats:
        """From memory. `seq` grows with every answer, so that a late one cannot pass for a fresh one."""
        with self._lock:
            pools = self.pools.stats()
            seq = next(self._seq)
        intent = self.intent.current
        return NodeStats(
            available=sum(pool.available for pool in pools.values()),
            capacity=sum(pool.capacity for pool in pools.values()),
            version=self.version,
            container_image=pools[DEFAULT_POOL].image,
            protocol=PROTOCOL,
            node_id=self.identity.node_id,
            boot_id=self.identity.boot_id,
            name=self.name,
            seq=seq,
            state=intent.state,
            generation=intent.generation,
            starting=sum(pool.starting for pool in pools.values()),
            startable=sum(pool.startable for pool in pools.values()),
            claimed=sum(pool.claimed for pool in pools.values()),
            ending=sum(pool.ending for pool in pools.values()),
            unremovable=self.removal_problem(),
            claims_total=total(self.counters.claims),
            refused_total=total(self.counters.refusals),
            max_age_seconds=int(max(self.limits(pool).max_age for pool in pools)),
            pools=pools,
            landing_prefixes=self.all_prefixes(pools),
            holds_content=self.blobs.works,
        )
