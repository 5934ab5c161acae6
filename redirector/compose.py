"""Composition root: one worker's parts, put together."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from random import Random

from redirector.gunicorn_worker import Worker
from redirector.loops.poller import Poller
from redirector.loops.sync import LeaseRenewer, SyncLoop
from redirector.memory.bucket_table import BucketTable
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.memory.lease import Lease
from redirector.memory.outbox import Outbox
from redirector.memory.rate_limits import Allowance, RateLimits
from redirector.memory.waiting_queue import WaitingQueue
from redirector.node_client.client import AgentClient
from redirector.node_client.fan_out import FanOut
from redirector.node_client.http import BoundedHttp
from redirector.operations.content_links import ContentLinks
from redirector.operations.contents import ContentControl
from redirector.operations.images import Upkeep
from redirector.operations.live_stats import LiveStats
from redirector.operations.node_changes import Control
from redirector.operations.scrapes import NodeScrapes
from redirector.operations.sessions import SessionControl
from redirector.operations.snapshots import SnapshotReader
from redirector.placing.abandonment import Abandonment
from redirector.placing.admission import Admission
from redirector.placing.back_of_queue import BackOfQueue
from redirector.placing.claims import NodeClaims
from redirector.placing.placer import Placer
from redirector.placing.witness import Witness
from redirector.settings.table import RedirectorSettings
from redirector.store.blob_rows import BlobRows
from redirector.store.boards import Boards
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.database import Database
from redirector.store.journal import Journal
from redirector.store.leases import Leases
from redirector.store.registry import Registry
from redirector.store.rolls import Rolls
from redirector.store.schema import migrate
from redirector.store.shared_clock import SharedClock
from redirector.store.signing_key import read_signing_key
from redirector.store.tickets import Tickets
from redirector.store.worker_reports import WorkerReports
from redirector.web import create_app
from redirector.web.parts import Collaborators
from redirector.web.visitors.cookies import Cookies


def compose(
    settings: RedirectorSettings,
    *,
    migrated: bool = True,
    buckets: BucketTable | None = None,
    own_clock: Callable[[], float] = time.time,
) -> Worker:
    """Put one worker together. Nothing runs yet.

    Args:
        settings: the redirector's.
        migrated: the database has this version's schema; else the worker sees to that once it can be reached.
        buckets: what it shares with this host's other workers of what clients have had; None: it has no others.
        own_clock: this host's, which counts until the database's has been read.
    """
    buckets = buckets or BucketTable()
    host = socket.gethostname()
    holder = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
    rng = Random()  # noqa: S311  # breaks ties, keeps no secret
    lease, database_state = Lease(), DatabaseState()
    database = Database(settings.database_url)
    clock = SharedClock(database, own=own_clock)
    registry, boards, journal = Registry(database), Boards(database), Journal(database)
    contents, patterns = Contents(database), ContentPatterns(database)
    tickets = Tickets(database)
    waiting_queue = WaitingQueue(tickets)
    client = AgentClient(
        BoundedHttp(f"tmpnb-redirector/{version('tmpnb-fleet')}"),
        poll_seconds=settings.poll_timeout_seconds,
        claim_seconds=settings.claim_timeout_seconds,
    )
    fleet_state, outbox = FleetState(), Outbox()
    sync_loop = SyncLoop(
        fleet_state=fleet_state,
        outbox=outbox,
        waiting_queue=waiting_queue,
        database=database_state,
        registry=registry,
        boards=boards,
        contents=contents,
        patterns=patterns,
        journal=journal,
        lease=lease,
        renewer=LeaseRenewer(holder=holder, lease=lease, leases=Leases(database)),
        adjust_clock=clock.adjust,
        read_signing_key=partial(read_signing_key, database),
        prepare=None if migrated else partial(migrate, database),
    )
    poller = Poller(
        holder=holder,
        fleet_state=fleet_state,
        outbox=outbox,
        client=client,
        registry=registry,
        boards=boards,
        journal=journal,
        lease=lease,
        clock=clock,
        rng=rng,
        seconds=settings.poll_seconds,
        anyone_waits=lambda: bool(waiting_queue.queue.tickets),
        checks_public_urls=settings.check_public_urls,
    )
    witness = Witness(host=host, fleet_state=fleet_state, outbox=outbox, stats=client.stats, rng=rng)
    abandonment = Abandonment(fleet_state=fleet_state, client=client, clock=time.monotonic)
    placer = Placer(
        fleet_state=fleet_state,
        claims=NodeClaims(fleet_state=fleet_state, client=client, outbox=outbox, clock=clock, rng=rng),
        outbox=outbox,
        abandonment=abandonment,
        clock=clock,
        new_ticket=new_ticket,
        seconds=settings.place_seconds,
    )
    fan_out = FanOut()
    live = LiveStats(client, fan_out, clock)
    rolls = Rolls(database)
    control = Control(
        registry=registry,
        boards=boards,
        client=client,
        live=live,
        clock=clock,
        changed=sync_loop.refresh,
        min_free_percent=settings.min_free_percent,
    )
    admission = Admission(
        fleet_state=fleet_state,
        placer=placer,
        waiting_queue=waiting_queue,
        tickets=tickets,
        database=database_state,
        limits=RateLimits(
            Allowance(
                settings.client_burst,
                settings.client_per_minute,
                settings.client_free,
                settings.client_networks,
                settings.waiting_per_client,
            ),
            buckets,
            "sandbox",
        ),
        outbox=outbox,
        clock=time.monotonic,
        new_ticket=new_ticket,
        waiting_limit=settings.waiting_limit,
    )
    app = create_app(
        Collaborators(
            settings=settings,
            fleet_state=fleet_state,
            database_state=database_state,
            admission=admission,
            back_of_queue=BackOfQueue(fleet_state=fleet_state, waiting_queue=waiting_queue, database=database_state),
            client=client,
            outbox=outbox,
            cookies=Cookies(settings, lambda: settings.signing_keys or sync_loop.signing_keys),
            control=control,
            upkeep=Upkeep(registry=registry, rolls=rolls, client=client, clock=clock),
            snapshots=SnapshotReader(
                registry=registry,
                boards=boards,
                journal=journal,
                tickets=tickets,
                rolls=rolls,
                contents=contents,
                reports=WorkerReports(database),
                fleet_state=fleet_state,
                live=live,
                database=database_state,
                clock=clock,
            ),
            live=live,
            contents=ContentControl(
                contents=contents,
                patterns=patterns,
                rows=BlobRows(database),
                reports=WorkerReports(database),
                fleet_state=fleet_state,
                clock=clock,
                changed=sync_loop.refresh,
            ),
            content_links=ContentLinks(
                fleet_state=fleet_state,
                contents=contents,
                rows=BlobRows(database),
                client=client,
                refresh=sync_loop.refresh,
            ),
            sessions=SessionControl(registry=registry, client=client, fan_out=fan_out, clock=clock),
            scrapes=NodeScrapes(fleet_state, client, fan_out, time.monotonic),
            journal=journal,
            buckets=buckets,
            clock=clock,
            rng=rng,
        )
    )
    return Worker(
        app,
        fleet_state,
        placer,
        admission,
        control,
        registry,
        sync_loop,
        poller,
        waiting_queue,
        database_state,
        outbox,
        abandonment,
        witness,
        client,
        fan_out,
        database,
    )


def new_ticket() -> str:
    """With more than the 128 random bits that a capability needs."""
    return secrets.token_urlsafe(24)
