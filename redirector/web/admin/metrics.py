"""`GET /metrics`, of the fleet, and `GET /metrics/nodes`, what every node says of itself."""

from __future__ import annotations

from flask import Blueprint, Response

from redirector.counters.prometheus import FleetSample, exposition
from redirector.model.content_alarms import content_alarms
from redirector.operations.scrapes import NodeScrapes
from redirector.operations.snapshots import SnapshotReader
from redirector.web.admin.auth import Keyholders
from tmpnb_common.version import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def blueprint(snapshots: SnapshotReader, scrapes: NodeScrapes, admins: Keyholders) -> Blueprint:
    """For Prometheus, which brings a token that only reads from a file of its own."""
    routes = Blueprint("metrics", __name__)
    routes.before_request(admins.check)

    @routes.get("/metrics")
    def metrics() -> Response:
        snapshot = snapshots.read()
        text = exposition(
            FleetSample(
                snapshot.at,
                snapshot.nodes,
                snapshot.board,
                snapshot.counters,
                {pool: line.waiting for pool, line in snapshot.waiting.items()},
                database_up=not snapshot.database_problem,
                version=VERSION,
                orders=snapshot.orders,
                content_alarms=[*content_alarms(snapshot.contents.values(), snapshot.workers, snapshot.at)],
            )
        )
        return Response(text, content_type=CONTENT_TYPE)

    @routes.get("/metrics/nodes")
    def node_metrics() -> Response:
        return Response(scrapes.exposition(), content_type=CONTENT_TYPE)

    return routes
