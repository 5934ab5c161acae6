"""The admin API's view of the whole fleet: numbers, alarms, history, where the next visitor would go."""

from __future__ import annotations

from random import Random

from flask import Blueprint, Response, request

from redirector.admin_api.answers import EventsView, EventView
from redirector.admin_api.fleet_view import view_of_fleet
from redirector.admin_api.place_view import view_of_place
from redirector.errors import BadRequestError, DatabaseAwayError
from redirector.model.snapshot import FleetSnapshot
from redirector.operations.snapshots import SnapshotReader
from redirector.settings.table import RedirectorSettings
from redirector.store.journal import Journal
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import answer
from tmpnb_common.wire import DEFAULT_POOL

EVENTS_AT_ONCE = 1000


def blueprint(
    snapshots: SnapshotReader, journal: Journal, settings: RedirectorSettings, admins: Keyholders, rng: Random
) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_fleet", __name__, url_prefix="/api")
    admin.before_request(admins.check)

    @admin.get("/fleet")
    def fleet() -> Response:
        return answer(view_of_fleet(_known(snapshots.live()), settings, request.url_root))

    @admin.get("/place")
    def place() -> Response:
        return answer(view_of_place(_known(snapshots.live()), request.args.get("pool") or DEFAULT_POOL, rng))

    @admin.get("/events")
    def events() -> Response:
        since, limit = _number("since", 0, 2**62), _number("limit", 100, EVENTS_AT_ONCE)
        rows = journal.events(
            since,
            limit,
            not_before=_number("from", 0, 2**33),
            not_after=_number("until", 0, 2**33),
            node=request.args.get("node", ""),
        )
        return answer(EventsView([EventView.of(event) for event in rows]))

    return admin


def _known(snapshot: FleetSnapshot) -> FleetSnapshot:
    """A snapshot that the database vouches for: a program would take an old one for the truth."""
    if snapshot.database_problem:
        raise DatabaseAwayError(snapshot.database_problem)
    return snapshot


def _number(name: str, default: int, most: int) -> int:
    given = request.args.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(most)) and int(given) <= most):
        raise BadRequestError(f"{name} has to be a whole number from 0 to {most}")
    return int(given)
