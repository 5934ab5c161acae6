"""The node's API as a document: every call with its token, request, answers and errors.

A test compares this table with what is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Blueprint, Response

from node_agent.lifecycle.filling import FillState
from node_agent.membership.announcement import Announcement
from node_agent.runtimes.contract import ImageState
from node_agent.web import answers, requests, views
from tmpnb_common.claims import Claim, ClaimOutcomes
from tmpnb_common.openapi import BYTES, NOTHING, TEXT, Call, document
from tmpnb_common.version import VERSION
from tmpnb_common.wire import NodeStats

TOKENS = {"node": "One of the tokens in the node's token file."}

Errors = Mapping[int, tuple[str, ...]]

TOKEN: Errors = {403: ("forbidden",)}
BODY: Errors = {**TOKEN, 400: ("bad_request",), 413: ("bad_request",)}
UNWELL: Errors = {503: ("unhealthy",)}
SANDBOX: Errors = {404: ("unknown_sandbox", "not_found")}
POOL: Errors = {404: ("unknown_pool", "not_found")}


def calls() -> list[Call]:
    """Every call that programs may make."""
    return [*_public(), *_intent(), *_sandboxes(), *_pools(), *_blobs()]


def _public() -> list[Call]:
    refused: Errors = {
        **BODY,
        404: ("unknown_pool",),
        409: ("draining", "abandoned"),
        429: ("full", "starting"),
        503: ("unhealthy",),
    }
    return [
        _get("/stats", "How many sandboxes are free, and more", NodeStats),
        _get("/api/stats", "How many sandboxes are free, and more", NodeStats),
        _get("/healthz", "Whether the node is well", views.NodeHealthView, {503: ("unhealthy",)}),
        _get("/robots.txt", "What crawlers may look at", TEXT),
        _get("/api/openapi.json", "This document", dict[str, Any]),
        Call(
            method="POST",
            path="/api/spawn",
            summary="A sandbox; with the token also for several visitors, with their tickets",
            body=requests.NodeSpawnRequest,
            answers={200: (Claim, ClaimOutcomes)},
            errors=refused,
            auth="node",
            auth_optional=True,
        ),
    ]


def _intent() -> list[Call]:
    state, attempts, notice = requests.StateRequest, requests.AbandonRequest, requests.AnnouncementRequest
    stale: Errors = {409: ("stale_generation",)}
    return [
        _call("PUT", "/api/state", "Take visitors, or drain", views.IntentView, state, stale),
        _call("POST", "/api/abandon", "Give back what these searches got", views.ReleasedView, attempts),
        _call("PUT", "/api/say", "Say a line to the pages of all sandboxes", Announcement, notice),
    ]


def _sandboxes() -> list[Call]:
    sandbox = "/api/sandboxes/{name}"
    return [
        _call("GET", "/api/sandboxes", "All sandboxes", views.NodeSandboxesView),
        _call("GET", sandbox, "One sandbox", views.NodeSandboxView, errors=SANDBOX),
        _call("DELETE", sandbox, "End a sandbox", views.SandboxEndView, errors=SANDBOX),
        _call(
            "POST",
            f"{sandbox}/content",
            "Fill a sandbox with what its visitor came for",
            FillState,
            requests.FillRequest,
            SANDBOX,
        ),
    ]


def _pools() -> list[Call]:
    pool = "/api/pools/{name}"
    content: Errors = {409: ("missing_blob", "larger_than_home", "unfit")}
    failed: Errors = {404: ("unknown_pool",), 503: ("selftest_failed", "unhealthy")}
    return [
        _call("DELETE", "/api/pool", "Replace what is ready", views.DrainedView),
        _call("PUT", pool, "Change a pool", views.NodePoolView, requests.PoolRequest, {**POOL, **content}),
        _call("POST", f"{pool}/fetch", "Fetch an image for a pool", ImageState, requests.FetchRequest, POOL),
        _call("POST", "/api/selftest", "Try a pool", views.PassedView, requests.SelftestRequest, failed),
        _call("GET", "/metrics", "The node, for Prometheus", TEXT),
    ]


def _blobs() -> list[Call]:
    blob, view = "/api/blobs/{digest}", views.BlobView
    wrong: Errors = {404: ("not_found",), 400: ("bad_request",)}
    refused: Errors = {
        **wrong,
        400: ("bad_request", "bad_blob"),
        409: ("off",),
        413: ("bad_request", "too_large"),
        503: ("busy", "unhealthy"),
        507: ("no_room",),
    }
    gone: Errors = {**wrong, 404: ("unknown_blob", "not_found"), 409: ("in_use",)}
    return [
        _call("GET", "/api/blobs", "The blobs that are here", views.BlobsView),
        _call("PUT", blob, "Send a blob, a tar with this SHA-256", {200: view, 201: view}, BYTES, refused),
        _call("DELETE", blob, "Remove a blob", {204: NOTHING}, errors=gone),
    ]


def _get(path: str, summary: str, view: Any, errors: Errors | None = None) -> Call:
    return Call(method="GET", path=path, summary=summary, answers={200: view}, errors=errors or {})


def _call(  # noqa: PLR0917 - one row of a table
    method: str, path: str, summary: str, view: Any, body: Any = None, errors: Errors | None = None
) -> Call:
    """A call that needs the token; a body is JSON that may be wrong, and what changes something may fail."""
    common: Errors = {**(TOKEN if body in (None, BYTES) else BODY), **({} if method == "GET" else UNWELL)}
    return Call(
        method=method,
        path=path,
        summary=summary,
        answers=view if isinstance(view, dict) else {200: view},
        errors={**common, **(errors or {})},
        body=body,
        auth="node",
    )


@cache
def description() -> Any:
    """The whole document, ready for JSON."""
    text = "Hands out the sandboxes of one Docker host. See docs/http-api.md for what the fields mean."
    return document("tmpnb node", VERSION, text, calls(), TOKENS)


def blueprint() -> Blueprint:
    """`GET /api/openapi.json`, for everybody."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/api/openapi.json")
    def openapi_document() -> Response:
        return answers.view(description())

    return routes
