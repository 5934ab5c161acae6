"""A node's HTTP application over a bench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from node_agent.membership.announcement import AnnouncementStore
from node_agent.membership.identity import Identity
from node_agent.membership.intent import IntentStore
from node_agent.pages import Pages
from node_agent.web.addresses import Addresses
from node_agent.web.node import NodeContext
from tests.support.node_fakes import FakeRuntime
from tests.support.node_pools import LIMITS, Bench

TOKEN = "a-token-of-the-node-0123456789"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


def make_node(bench: Bench, state: Path, homes: Mapping[str, int] = MappingProxyType({})) -> NodeContext:
    """One whose intent lies in `state`; `homes` are the sizes of its pools' homes in bytes."""
    intent = IntentStore(state / "intent.json", bench.clock)
    bench.pools.draining = lambda: intent.draining
    return NodeContext(
        name="n1",
        version="1.2.3",
        landing_prefixes=("course",),
        entry_url="https://entry.example.org",
        fleet_only=False,
        addresses=Addresses("https://node1.example.org", own_origins=False),
        limits=lambda _pool: LIMITS,
        warn_seconds=600,
        pages=Pages("https://entry.example.org"),
        clock=bench.clock,
        identity=Identity("the-node", "this-boot", (TOKEN,)),
        intent=intent,
        announcement=AnnouncementStore(state / "announcement.json", bench.clock),
        table=bench.table,
        pools=bench.pools,
        landings=bench.landings,
        claims=bench.claims,
        blobs=bench.blobs,
        filler=bench.filler,
        homes=homes,
        counters=bench.counters,
        overrides=bench.overrides,
        image_state=FakeRuntime(bench.engine).image_state,
        selftest=bench.selftest,
        removal_problem=bench.reconciler.removal_problem,
        problem=bench.reconciler.problem,
    )
