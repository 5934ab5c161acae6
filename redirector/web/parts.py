"""What the blueprints work with, made by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from redirector.memory.bucket_table import BucketTable
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.node_client.client import AgentClient
from redirector.operations.content_links import ContentLinks
from redirector.operations.contents import ContentControl
from redirector.operations.images import Upkeep
from redirector.operations.live_stats import LiveStats
from redirector.operations.node_changes import Control
from redirector.operations.scrapes import NodeScrapes
from redirector.operations.sessions import SessionControl
from redirector.operations.snapshots import SnapshotReader
from redirector.placing.admission import Admission
from redirector.placing.back_of_queue import BackOfQueue
from redirector.settings.table import RedirectorSettings
from redirector.store.journal import Journal
from redirector.web.visitors.cookies import Cookies


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the blueprints work with."""

    settings: RedirectorSettings
    fleet_state: FleetState
    database_state: DatabaseState
    admission: Admission
    back_of_queue: BackOfQueue
    client: AgentClient
    outbox: Outbox
    cookies: Cookies
    control: Control
    upkeep: Upkeep
    snapshots: SnapshotReader
    live: LiveStats
    scrapes: NodeScrapes
    sessions: SessionControl
    contents: ContentControl
    content_links: ContentLinks
    journal: Journal
    buckets: BucketTable
    clock: Callable[[], float]
    rng: Random
