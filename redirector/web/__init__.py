"""The redirector's HTTP side: one factory, one module per blueprint."""

from __future__ import annotations

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from redirector.operations.membership import SelfRegistration
from redirector.web import cors, failures, openapi, pages
from redirector.web.admin import auth, hosts, joining, metrics
from redirector.web.admin import contents as admin_contents
from redirector.web.admin import fleet as admin_fleet
from redirector.web.admin import images as admin_upkeep
from redirector.web.admin import nodes as admin_nodes
from redirector.web.admin import sessions as admin_sessions
from redirector.web.dashboard import blueprint as dashboard
from redirector.web.dashboard.actions import Actions
from redirector.web.dashboard.steps import Steps
from redirector.web.parts import Collaborators
from redirector.web.visitors import addresses, build, entry, foreign_doors, launches, public, status
from redirector.web.visitors.real_address import RealAddress

BODY_LIMIT = 64 * 1024
"""Bytes. No call needs a tenth of it."""


def create_app(parts: Collaborators) -> Flask:
    """Build the application. It starts nothing."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    if isinstance(app.json, DefaultJSONProvider):
        app.json.sort_keys = False  # in the order of the documentation, tmpnb's names first
    app.url_map.strict_slashes = False
    # Paths go on to the sandbox as they came.
    app.url_map.merge_slashes = False
    app.url_map.converters["landing"] = addresses.LandingConverter
    admins = auth.admins(parts.settings, parts.buckets)
    pages.prepare(app, parts.settings)
    failures.register(app)
    app.after_request(_keep_nowhere)
    app.after_request(cors.readers(parts.settings.allow_origin))
    app.register_blueprint(entry.blueprint(parts))
    app.register_blueprint(public.blueprint(parts))
    app.register_blueprint(build.blueprint(parts.settings))
    app.register_blueprint(launches.blueprint(parts))
    app.register_blueprint(foreign_doors.blueprint(parts.fleet_state, parts.database_state))
    app.register_blueprint(admin_nodes.blueprint(parts.control, parts.upkeep, parts.live, admins, parts.clock))
    app.register_blueprint(admin_sessions.blueprint(parts.sessions, admins))
    app.register_blueprint(admin_upkeep.blueprint(parts.upkeep, admins))
    app.register_blueprint(admin_contents.blueprint(parts.contents, parts.settings, admins))
    app.register_blueprint(admin_contents.webhook(parts.contents, admins))
    app.register_blueprint(admin_fleet.blueprint(parts.snapshots, parts.journal, parts.settings, admins, parts.rng))
    steps = Steps(parts.control, parts.upkeep, parts.live, parts.journal, parts.clock)
    actions = Actions(parts.control, parts.upkeep, parts.sessions, steps, parts.contents)
    app.register_blueprint(
        dashboard.blueprint(parts.snapshots, actions, parts.journal, parts.settings, admins, parts.clock)
    )
    app.register_blueprint(metrics.blueprint(parts.snapshots, parts.scrapes, admins))
    app.register_blueprint(status.blueprint(parts))
    app.register_blueprint(hosts.blueprint(parts.control, admins))
    app.register_blueprint(
        joining.blueprint(SelfRegistration(parts.control), auth.joiners(parts.settings, parts.buckets))
    )
    app.register_blueprint(openapi.blueprint())
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
