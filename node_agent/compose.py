"""Puts the agent together from its settings; nothing runs yet."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from flask import Flask

from node_agent import unix_http
from node_agent.assets.sharing import AssetSharing
from node_agent.assets.store import AssetStore
from node_agent.content.store import BlobStore
from node_agent.jupyter import client as jupyter_client
from node_agent.jupyter import filling as jupyter_filling
from node_agent.jupyter import kernel_session
from node_agent.lifecycle.filling import HomeFiller
from node_agent.lifecycle.landings import Landings
from node_agent.lifecycle.reconciler import Reconciler
from node_agent.lifecycle.selftest import SelftestRunner
from node_agent.lifecycle.sessions import SessionWatch
from node_agent.lifecycle.starter import Starter
from node_agent.membership import identity
from node_agent.membership.announcement import AnnouncementStore
from node_agent.membership.intent import IntentStore
from node_agent.pages import Pages
from node_agent.parts import blob_store, home_sizes, limits_by_pool
from node_agent.pools.claims import SandboxClaims
from node_agent.pools.counters import Counters
from node_agent.pools.ledger import Ledger
from node_agent.pools.overrides import PoolOverrides
from node_agent.pools.pools import Pools
from node_agent.pools.specs import Memory, PoolSpec
from node_agent.pools.steady_clock import SteadyClock
from node_agent.pools.table import SandboxTable
from node_agent.runtimes.contract import Runtime
from node_agent.settings.table import NodeSettings
from node_agent.web import create_app
from node_agent.web.addresses import Addresses
from node_agent.web.node import NodeContext
from tmpnb_common.version import VERSION

log = logging.getLogger("compose")


# The runtimes.


# The agent.


def seen_contents(blobs: BlobStore, runtime: Runtime) -> Path | None:
    """The directory of the blobs for a sandbox that starts; None where there is none, or sandboxes would not see it.

    Raises:
        EngineError: the engine does not say.
    """
    if blobs.works and (problem := runtime.hides(blobs.root)):
        blobs.give_up(problem)
    return blobs.root if blobs.works else None


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, put together and not yet running."""

    app: Flask
    reconciler: Reconciler


def compose(settings: NodeSettings, runtime: Runtime) -> Agent:
    """Put the agent together; nothing runs yet.

    Raises:
        HostError: the state or the run directory cannot be used.
    """
    stop = threading.Event()
    own = identity.load(settings.state_dir, settings.token_file, identity.fresh_token)
    intent = IntentStore(settings.state.intent, time.time)
    clock = SteadyClock()
    ledger = Ledger(settings.run_dir, clock)
    ledger.prepare()
    ledger.recover()
    store = AssetStore(settings.run.static)
    store.prepare()
    addresses = Addresses(settings.url, own_origins=settings.origin == "sandbox")
    sharing = AssetSharing(store, runtime.browser_files, base_url=addresses.shared)
    limits = limits_by_pool(settings)
    overrides = PoolOverrides(
        settings.state.pool_changes,
        [
            # What the process runtime runs is no image, but it has a name where others have theirs.
            PoolSpec(
                pool.name,
                pool.image or settings.runtime,
                pool.warm,
                pool.capacity,
                pool.landing,
                pool.command,
                pool.trial_cell,
            )
            for pool in settings.pools
        ],
    )
    memory = Memory(psutil.virtual_memory().total - settings.keep_free, settings.reserve)
    counters = Counters()
    table = SandboxTable(ledger, counters)
    pools = Pools(overrides.specs(), table, counters, draining=lambda: intent.draining, memory=memory)
    claims = SandboxClaims(table, pools, counters, listens=unix_http.listens, random_ticket=identity.fresh_token)
    blobs = blob_store(settings, lambda digest: table.content_uses(digest) + pools.content_uses(digest))
    blobs.begin()
    homes = home_sizes(settings)
    filler = HomeFiller(table, blobs, jupyter_filling.fill, homes=homes)

    landings = Landings(jupyter_client.page_status)
    starter = Starter(
        runtime,
        table,
        pools,
        jupyter_client.landing_problem,
        start_seconds=settings.start_seconds,
        clock=clock,
        rng=random.SystemRandom(),
        stop=stop,
        acquire_assets=sharing.acquire,
        landings=landings,
        contents=lambda: seen_contents(blobs, runtime),
    )
    selftest = SelftestRunner(
        runtime,
        table,
        pools,
        starter,
        run_cell=lambda socket, base, code, within: kernel_session.run(socket, base, code, within=within),
        start_seconds=settings.start_seconds,
        monotonic=time.monotonic,
        stop=stop,
    )
    sessions = SessionWatch(
        runtime, table, pools, jupyter_client.activity, limits=limits, clock=clock, monotonic=time.monotonic
    )
    reconciler = Reconciler(
        runtime,
        table,
        pools,
        starter,
        sessions,
        limits=limits,
        workers=settings.parallel_starts,
        clock=clock,
        monotonic=time.monotonic,
        stop=stop,
        tidy=lambda living: sharing.sweep(living, {spec.image for spec in pools.specs()}),
        try_out=selftest.run,
        trial_seconds=settings.trial_seconds,
        adopted=filler.finish,
    )
    node = NodeContext(
        name=settings.name,
        version=VERSION,
        landing_prefixes=settings.landing_prefixes,
        entry_url=settings.entry_url,
        fleet_only=settings.fleet_only,
        addresses=addresses,
        limits=limits,
        warn_seconds=settings.warn_seconds,
        pages=Pages(settings.entry_url, settings.templates_dir),
        clock=clock,
        identity=own,
        intent=intent,
        announcement=AnnouncementStore(settings.state.announcement, time.time),
        table=table,
        pools=pools,
        landings=landings,
        claims=claims,
        blobs=blobs,
        filler=filler,
        homes=homes,
        counters=counters,
        overrides=overrides,
        selftest=selftest,
        image_state=runtime.image_state,
        removal_problem=reconciler.removal_problem,
        problem=reconciler.problem,
    )
    return Agent(create_app(node), reconciler)
