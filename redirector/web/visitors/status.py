"""`/status`: for everyone, where the operator wants that. Numbers, and no names."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from redirector.admin_api.fleet_view import view_of_fleet
from redirector.web.pages import page
from redirector.web.parts import Collaborators

EVERY_SECONDS = 10
"""How often the page asks again."""

RECENT_SECONDS = 2.0
"""All who look within this get the same snapshot, so that a crowd of them costs the database nothing."""


def blueprint(parts: Collaborators) -> Blueprint:
    """One page, without scripts."""
    snapshots, settings = parts.snapshots, parts.settings
    routes = Blueprint("status", __name__)

    @routes.get("/status")
    def status() -> Response:
        if not settings.status_page:
            abort(404)
        fleet = view_of_fleet(snapshots.recent(RECENT_SECONDS), settings, "")
        free, busy = fleet.available, fleet.claimed
        coming = fleet.starting + fleet.startable
        shown = page(
            "status.html",
            200,
            free=free,
            busy=busy,
            waiting=fleet.waiting,
            sentence=sentence(free, coming, fleet.waiting),
            seconds=EVERY_SECONDS,
        )
        shown.headers["Refresh"] = str(EVERY_SECONDS)
        return shown

    return routes


def sentence(free: int, coming: int, waiting: int) -> str:
    """What the numbers mean for somebody who would like a notebook."""
    if waiting:
        return "Notebooks are in demand: newcomers wait a little for their turn."
    if free:
        return "You can open a notebook right away."
    if coming:
        return "A notebook will be there in a moment."
    return "All notebooks are in use at the moment."
