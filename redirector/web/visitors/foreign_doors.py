"""Addresses that were made for BinderHub, nbgitpuller and Colab, and what their clients ask before they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, request

from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.model.foreign_links import BINDER, COLAB, PULLS, OwnLink, binder_link, colab_link, pull_link
from redirector.model.nodes import Health
from redirector.web.bodies import answer
from redirector.web.visitors.addresses import behind
from tmpnb_common.version import VERSION

METHODS = ["GET", "POST"]


@dataclass(frozen=True, slots=True)
class VersionsView:
    """By a member `binderhub` clients know that links of BinderHub's shape are understood here."""

    binderhub: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """One part that a launch needs."""

    service: str
    ok: bool


@dataclass(frozen=True, slots=True)
class LaunchHealthView:
    """Whether a launch could succeed, as BinderHub tells it."""

    ok: bool
    checks: list[CheckView]


@dataclass(frozen=True, slots=True)
class HubView:
    """JupyterHub's answer to whoever asks which version it is."""

    version: str


def add_links(routes: Blueprint, enter: Callable[[Callable[[], OwnLink]], Response]) -> None:
    """Add the links' routes; `enter` admits a visitor by what reads their address."""

    @routes.route(f"{BINDER}<path:_spec>", methods=METHODS)
    def binder(_spec: str) -> Response:
        return enter(lambda: binder_link(behind(BINDER), request.args))

    @routes.route(f"{COLAB}<path:_spec>", methods=METHODS)
    def colab(_spec: str) -> Response:
        return enter(lambda: colab_link(behind(COLAB)))

    def pull() -> Response:
        return enter(lambda: pull_link(request.args))

    for rule in PULLS:
        routes.add_url_rule(rule, view_func=pull, endpoint="pull", methods=METHODS)


def blueprint(fleet_state: FleetState, database: DatabaseState) -> Blueprint:
    """What programs ask that were made for BinderHub and JupyterHub. Pages of every origin may read it."""
    routes = Blueprint("foreign", __name__)

    @routes.get("/versions")
    def versions() -> Response:
        return answer(VersionsView(f"tmpnb-fleet {VERSION}"))

    @routes.get("/hub/api/")
    def hub() -> Response:
        return answer(HubView(VERSION))

    @routes.get("/health")
    def health() -> Response:
        board = fleet_state.board
        nodes = any(board.of(name).health is Health.UP for name in fleet_state.nodes)
        checks = [CheckView("nodes", nodes), CheckView("database", fleet_state.known and not database.away)]
        # A fleet without its database places visitors all the same.
        return answer(LaunchHealthView(nodes, checks), 200 if nodes else 503)

    @routes.after_request
    def open_to_all(response: Response) -> Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    return routes
