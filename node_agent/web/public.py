"""What anybody may ask: how many are free, and, unless the node serves only its fleet, for a sandbox."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, jsonify

from node_agent.lifecycle.landings import Landing
from node_agent.web import answers, incoming
from node_agent.web.answers import BadRequest
from node_agent.web.node import NodeContext
from node_agent.web.requests import NodeSpawnRequest
from node_agent.web.views import NodeHealthView
from tmpnb_common.claims import Claim, Refusal, ticket_mark
from tmpnb_common.log_lines import fields

log = logging.getLogger("web")

ROBOTS = "User-agent: *\n" + "".join(
    f"Disallow: {path}\n" for path in ("/user/", "/spawn/", "/api/", "/lab", "/tree", "/-/")
)


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("public", __name__)

    @routes.get("/stats")
    @routes.get("/api/stats")
    def stats() -> Response:
        return answers.view(node.stats())

    @routes.post("/api/spawn")
    def spawn() -> Response:
        trusted = incoming.has_token(node.identity)
        if node.fleet_only and not trusted:
            return answers.refusal(Refusal("forbidden", "this node serves only its fleet"))
        body = incoming.read_body(NodeSpawnRequest)
        pool = body.pool
        landing = node.landing_of(pool)
        if body.tickets is not None:
            incoming.require_token(node.identity)
            outcomes = [hand_out_one(node, pool, landing, ticket) for ticket in body.tickets]
            return jsonify(claims=[shown(outcome) for outcome in outcomes], available=available(node, pool))
        path = incoming.checked_path(landing.path(body.path, phone=False))
        ticket, attempt = (body.ticket, body.attempt or "") if trusted else (None, "")
        claim = hand_out(node, pool, path, ticket=ticket, attempt=attempt)
        if isinstance(claim, Refusal):
            return answers.refusal(claim)
        return jsonify(**shown(claim), available=available(node, pool))

    @routes.get("/robots.txt")
    def robots() -> Response:
        return Response(ROBOTS, mimetype="text/plain")

    @routes.get("/healthz")
    def healthz() -> Response:
        problem = node.problem()
        return answers.answer(503, "unhealthy", problem) if problem else answers.view(NodeHealthView())

    return routes


def hand_out_one(node: NodeContext, pool: str, landing: Landing, raw: object) -> Claim | Refusal:
    """A sandbox for one of several visitors, whatever the others ask for."""
    try:
        request = incoming.claim_request(raw)
        path = incoming.checked_path(landing.path(request.path, phone=request.phone))
    except BadRequest as error:
        return Refusal("bad_request", str(error))
    if request.content and not node.blobs.works:
        return Refusal("bad_request", "this node takes no contents")
    return hand_out(
        node,
        pool,
        path,
        ticket=request.ticket,
        attempt=request.attempt,
        content=request.content,
        embedded=request.embedded,
    )


def hand_out(
    node: NodeContext,
    pool: str,
    path: str,
    *,
    ticket: str | None = None,
    attempt: str = "",
    content: str = "",
    embedded: bool = False,
) -> Claim | Refusal:
    """A sandbox for one visitor, whose home is to be filled with a blob of this digest afterwards."""
    claimed = node.claims.claim(pool, ticket, attempt, content, embedded=embedded)
    mark = {"ticket": ticket_mark(ticket)} if ticket else {}
    if isinstance(claimed, Refusal):
        log.info("claim refused", extra=fields(**mark, pool=pool, status=claimed.status))
        return claimed
    log.info("claimed", extra=fields(**mark, pool=pool, sandbox=claimed.name))
    return Claim(node.addresses.sandbox(claimed.key, path), claimed.name)


def available(node: NodeContext, pool: str) -> int:
    stats = node.pools.stats().get(pool)
    return stats.available if stats is not None else 0


def shown(outcome: Claim | Refusal) -> dict[str, str]:
    if isinstance(outcome, Refusal):
        return {"status": outcome.status, "message": outcome.message}
    return {"url": outcome.url, "name": outcome.name}
