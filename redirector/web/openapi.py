"""The redirector's API as a document: every call with its token, request, answers and errors.

A test compares this table with what is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Blueprint, Response

from redirector.admin_api import answers as answered
from redirector.admin_api import content_views
from redirector.admin_api import requests as requested
from redirector.admin_api.views import FleetView, NodeView
from redirector.model.images import Fetch, Selftest
from redirector.operations.membership import Leaving
from redirector.web.bodies import answer
from redirector.web.visitors.foreign_doors import HubView, LaunchHealthView, VersionsView
from redirector.web.visitors.launches import LaunchRequest, LaunchView, PlacesRequest, PlacesView
from redirector.web.visitors.spawn import SpawnRequest
from redirector.web.visitors.views import (
    FleetNumbersView,
    HealthView,
    SandboxView,
    WaitingView,
)
from tmpnb_common.openapi import TEXT, Call, Parameter, document
from tmpnb_common.version import VERSION

TOKENS = {
    "admin": "The admin token. The read token does for every GET.",
    "join": "The join token, for nodes that come and go by themselves.",
}

Errors = dict[int, tuple[str, ...]]

BODY: Errors = {400: ("bad_request",), 413: ("too_large",)}
DATABASE = ("database_away", "schema_too_new")
CONTENT_LINK = ("unknown_content", "content_not_allowed")
PROBE = ("unreachable", "not_a_node", "bad_token")
ADMIN: Errors = {
    401: ("unauthorized",),
    403: ("forbidden",),
    429: ("limited",),
    503: ("no_admin_token", *DATABASE),
}
CHANGING: Errors = ADMIN | BODY | {403: ("forbidden", "read_only")}
JOINING: Errors = (
    ADMIN | BODY | {404: ("unknown_node",), 409: ("duplicate_url", "duplicate_name", "copied_node", "has_sessions")}
) | {502: PROBE, 503: ("no_join_token", *DATABASE)}
NODE: Errors = {404: ("unknown_node", "not_found")}
POOL: Errors = {404: ("unknown_node", "unknown_pool", "not_found"), 502: ("node_failed",)}

IF_MATCH = Parameter("If-Match", 'The version of the node that the operator saw, such as `"7"`.', where="header")
NODES = Parameter("node", "Only of this node; may be repeated.", repeated=True)


def calls() -> list[Call]:
    """Every call that programs may make."""
    return [*_public(), *_nodes(), *_contents(), *_sessions(), *_fleet(), *_of_nodes()]


def _public() -> list[Call]:
    refused: Errors = {
        400: ("bad_request",),
        404: ("unknown_pool", "unknown_ticket", *CONTENT_LINK),
        413: ("too_large",),
    }
    busy: Errors = {
        429: ("full", "starting", "limited"),
        503: ("trouble", "content_failed", "no_content_nodes", "too_many_contents", *DATABASE),
    }
    spawned = {200: SandboxView, 202: WaitingView}
    launch_health = {200: LaunchHealthView, 503: LaunchHealthView}
    return [
        _get("/stats", "The fleet's numbers", FleetNumbersView),
        _get("/api/stats", "The fleet's numbers", FleetNumbersView),
        _get("/healthz", "Whether the redirector is well", HealthView, {503: ("unhealthy",)}),
        _get("/versions", "Says that links of BinderHub's shape are understood", VersionsView),
        _get("/health", "Whether a launch could succeed, as BinderHub tells it", launch_health),
        _get("/hub/api/", "The version, as JupyterHub tells it", HubView),
        _get("/api/openapi.json", "This document", dict[str, Any]),
        _open("/api/spawn", "A sandbox for a program, at once or after a wait", SpawnRequest, spawned, refused | busy),
        _open("/api/launch", "The next step of a launch, as event streams tell it", LaunchRequest, {200: LaunchView}),
        _open("/api/places", "Where launches far back in the waiting room stand", PlacesRequest, {200: PlacesView}),
    ]


def _nodes() -> list[Call]:
    node, pool = "/api/nodes/{name}", "/api/nodes/{name}/pools/{pool}"
    added: Errors = {409: ("duplicate_url", "duplicate_name"), 502: PROBE}
    guarded: Errors = NODE | {409: ("has_sessions", "last_node", "too_little_free"), 412: ("changed",)}
    decided, drained = requested.DecisionRequest, requested.DrainRequest
    change, both = answered.ChangeView, {200: NodeView, 201: NodeView}
    return [
        _admin("GET", "/api/nodes", "All nodes", answered.NodesView),
        _admin("POST", "/api/nodes", "Add a node", both, added, requested.AddNodeRequest),
        _admin("GET", node, "One node", NodeView, NODE),
        _admin("DELETE", node, "Remove a node", answered.RemovedView, guarded, decided, IF_MATCH),
        _admin("POST", f"{node}/drain", "Send a node no more visitors", change, guarded, drained, IF_MATCH),
        _admin("POST", f"{node}/resume", "Send a node visitors again", change, guarded, decided, IF_MATCH),
        _admin("POST", f"{node}/selftest", "Try a pool of a node", Selftest, POOL, requested.TrialRequest),
        _admin(
            "PUT",
            pool,
            "Change a pool: its image, its size",
            answered.PoolChangeView,
            POOL,
            requested.ChangePoolRequest,
            IF_MATCH,
        ),
        _admin("POST", f"{pool}/fetch", "Have a node fetch an image", Fetch, POOL, requested.FetchImageRequest),
    ]


def _contents() -> list[Call]:
    content, patterns = "/api/content/{name}", "/api/content-patterns"
    unknown: Errors = {404: ("unknown_content", "not_found")}
    wrong: Errors = {400: ("bad_request", "bad_source"), 409: ("duplicate_content", "pool_has_content")}
    decided, added = requested.DecisionRequest, {201: content_views.AddedContentView}
    name, pattern, wish = content_views.ContentNameView, content_views.PatternChangeView, requested.PatternRequest
    bad: Errors = {400: ("bad_request", "bad_source")}
    gone: Errors = bad | {404: ("unknown_pattern",)}
    signed = [
        Parameter("X-Hub-Signature-256", "Of GitHub, instead of a token: the body's HMAC.", where="header"),
        Parameter("X-Gitlab-Token", "Of GitLab, instead of a token: the webhook's secret.", where="header"),
    ]
    return [
        _admin("GET", "/api/content", "Contents, and what links may ask for", content_views.ContentsView),
        _admin("POST", "/api/content", "Name a content", added, wrong, requested.AddContentRequest, IF_MATCH),
        _admin("GET", content, "One content", content_views.ContentView, unknown),
        _admin("DELETE", content, "Forget a content", name, unknown, decided, IF_MATCH),
        _admin("POST", f"{content}/refresh", "Fetch a content now", {202: name}, unknown, decided, IF_MATCH, *signed),
        _admin("POST", patterns, "Let links ask for more", pattern, bad, wish, IF_MATCH),
        _admin("DELETE", patterns, "Let links ask for less", pattern, gone, wish, IF_MATCH),
    ]


def _sessions() -> list[Call]:
    ended: Errors = {
        404: ("unknown_session", "unknown_node", "not_found"),
        409: ("ambiguous_session",),
        502: ("node_failed",),
    }
    session, view, body = "/api/sessions/{name}", answered.EndedView, requested.EndSessionRequest
    said, notice = answered.AnnouncedView, requested.SayRequest
    return [
        _admin("GET", "/api/sessions", "Visitors' sessions", answered.SessionsView, NODE, None, NODES),
        _admin("DELETE", session, "End a session", view, ended, body, IF_MATCH),
        _admin("POST", "/api/say", "Say a line to the pages of all sessions", said, NODE, notice, IF_MATCH),
    ]


def _fleet() -> list[Call]:
    pool = Parameter("pool", "Of which pool the visitor wants a sandbox.")
    bounds = [
        Parameter("since", "Only events after this id.", "integer"),
        Parameter("limit", "At most so many.", "integer"),
        Parameter("from", "Not before this time, in seconds since 1970.", "integer"),
        Parameter("until", "Not after this time, in seconds since 1970.", "integer"),
        Parameter("node", "Only of this node."),
    ]
    host, hosts = requested.HostRequest, answered.HostView
    added = NODE | {409: ("duplicate_url", "duplicate_name"), 502: PROBE}
    return [
        _admin("GET", "/api/fleet", "The whole fleet in numbers", FleetView),
        _admin("GET", "/api/place", "Where the next visitor would go", answered.PlaceView, {}, None, pool),
        _admin("GET", "/api/events", "The history", answered.EventsView, {400: ("bad_request",)}, None, *bounds),
        _admin("POST", "/hosts", "Add a node, as tmpnb-redirector had it", hosts, added, host),
        _admin("DELETE", "/hosts", "Remove a node, as tmpnb-redirector had it", hosts, NODE, host),
        _admin("GET", "/metrics", "The fleet, for Prometheus", TEXT),
        _admin("GET", "/metrics/nodes", "Every node, for Prometheus", TEXT),
    ]


def _of_nodes() -> list[Call]:
    joined = {200: answered.JoinedView, 201: answered.JoinedView}
    summary = "Leave the fleet; to be asked until `left` is true"
    return [
        _joining("/api/join", "Join the fleet", requested.JoinRequest, joined),
        _joining("/api/leave", summary, requested.LeaveRequest, {200: Leaving}),
    ]


def _get(path: str, summary: str, view: Any, errors: Errors | None = None) -> Call:
    answers = view if isinstance(view, dict) else {200: view}
    return Call(method="GET", path=path, summary=summary, answers=answers, errors=errors or {})


def _open(path: str, summary: str, body: Any, answers: Mapping[int, Any], errors: Errors = BODY) -> Call:
    return Call(method="POST", path=path, summary=summary, body=body, answers=answers, errors=errors)


def _admin(  # noqa: PLR0917 - one row of a table
    method: str,
    path: str,
    summary: str,
    view: Any,
    errors: Errors | None = None,
    body: Any = None,
    *parameters: Parameter,
) -> Call:
    common = ADMIN if method == "GET" else CHANGING
    answers = view if isinstance(view, dict) else {200: view}
    every = {**common, **(errors or {})}
    return Call(
        method=method,
        path=path,
        summary=summary,
        answers=answers,
        errors=every,
        body=body,
        parameters=parameters,
        auth="admin",
    )


def _joining(path: str, summary: str, body: Any, answers: Mapping[int, Any]) -> Call:
    return Call(method="POST", path=path, summary=summary, answers=answers, errors=JOINING, body=body, auth="join")


@cache
def description() -> Any:
    """The whole document, ready for JSON."""
    text = "Places visitors on the nodes of a fleet. See docs/http-api.md for what the fields mean."
    return document("tmpnb redirector", VERSION, text, calls(), TOKENS)


def blueprint() -> Blueprint:
    """`GET /api/openapi.json`, for everybody."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/api/openapi.json")
    def openapi_document() -> Response:
        return answer(description())

    return routes
