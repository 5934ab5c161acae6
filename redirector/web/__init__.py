"""The redirector's HTTP side: one factory, one module per blueprint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from redirector.bucket_table import BucketTable
from redirector.config import Settings
from redirector.fleet.control import Control
from redirector.fleet.door import Door
from redirector.fleet.homecoming import Homecoming
from redirector.fleet.live_stats import LiveStats
from redirector.fleet.membership import Membership
from redirector.fleet.overview import Overview
from redirector.fleet.scrapes import NodeScrapes
from redirector.fleet.session_control import SessionControl
from redirector.fleet.upkeep import Upkeep
from redirector.fleet.view import View
from redirector.store.journal import Journal
from redirector.web import (
    admin_fleet,
    admin_nodes,
    admin_sessions,
    admin_upkeep,
    auth,
    dashboard,
    entry,
    failures,
    hosts,
    joining,
    metrics,
    pages,
    public,
    status,
)
from redirector.web.cookies import Cookies
from redirector.web.dashboard_actions import Actions
from redirector.web.dashboard_steps import Steps
from redirector.web.real_address import RealAddress

BODY_LIMIT = 64 * 1024
"""Bytes. No call needs a tenth of it."""


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the blueprints work with."""

    settings: Settings
    view: View
    door: Door
    homecoming: Homecoming
    cookies: Cookies
    control: Control
    upkeep: Upkeep
    overview: Overview
    live: LiveStats
    scrapes: NodeScrapes
    sessions: SessionControl
    journal: Journal
    buckets: BucketTable
    clock: Callable[[], float]
    rng: Random


def create_app(parts: Collaborators) -> Flask:
    """Build the application. It starts nothing."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    if isinstance(app.json, DefaultJSONProvider):
        app.json.sort_keys = False  # in the order of the documentation, tmpnb's names first
    app.url_map.strict_slashes = False
    # Paths go on to the sandbox as they came.
    app.url_map.merge_slashes = False
    app.url_map.converters["landing"] = entry.LandingConverter
    admins = auth.admins(parts.settings, parts.buckets)
    pages.prepare(app, parts.settings)
    failures.register(app)
    app.after_request(_keep_nowhere)
    prefixes = entry.FleetPrefixes(parts.view)
    app.register_blueprint(entry.blueprint(entry.Front(parts.door, parts.homecoming, parts.cookies, prefixes)))
    app.register_blueprint(public.blueprint(parts.door, parts.view, parts.settings))
    app.register_blueprint(admin_nodes.blueprint(parts.control, parts.upkeep, parts.live, admins, parts.clock))
    app.register_blueprint(admin_sessions.blueprint(parts.sessions, admins))
    app.register_blueprint(admin_upkeep.blueprint(parts.upkeep, admins))
    app.register_blueprint(admin_fleet.blueprint(parts.overview, parts.journal, parts.settings, admins, parts.rng))
    steps = Steps(parts.control, parts.upkeep, parts.live, parts.clock)
    actions = Actions(parts.control, parts.upkeep, parts.sessions, steps)
    app.register_blueprint(
        dashboard.blueprint(parts.overview, actions, parts.journal, parts.settings, admins, parts.clock)
    )
    app.register_blueprint(metrics.blueprint(parts.overview, parts.scrapes, admins))
    app.register_blueprint(status.blueprint(parts.overview, parts.settings))
    app.register_blueprint(hosts.blueprint(parts.control, admins))
    app.register_blueprint(joining.blueprint(Membership(parts.control), auth.joiners(parts.settings, parts.buckets)))
    proxies = parts.settings.trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # the documented way to wrap an application
            app.wsgi_app, x_for=0, x_proto=proxies, x_host=proxies, x_port=proxies, x_prefix=proxies
        )
    app.wsgi_app = RealAddress(app.wsgi_app, proxies, parts.settings.client_free)  # type: ignore[method-assign]  # likewise
    return app


def _keep_nowhere(response: Response) -> Response:
    """A redirect is one visitor's alone, and numbers are of now. Files that may be kept say so themselves."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response
