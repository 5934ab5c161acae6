"""The entry of a node that stands alone: a visitor opens a landing path and is redirected to a sandbox."""

from __future__ import annotations

import re
from collections.abc import Container

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from node_agent.lifecycle.landings import Landing
from node_agent.web import answers, incoming
from node_agent.web.node import NodeContext
from tmpnb_common.claims import Refusal
from tmpnb_common.fetch_metadata import is_phone, purpose
from tmpnb_common.landing import path_inside
from tmpnb_common.paths import as_written
from tmpnb_common.wire import DEFAULT_POOL

EMPTY_PART = re.compile(r"(?:/[^/]*)?/(?:/|%2[fF])")
"""Begins a path that makes no sense in a sandbox: Jupyter would take it for a file outside the visitor's directory."""

RETRY_SECONDS = {"full": 5, "starting": 1}
"""How often the page of this name tries again by itself."""


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("entry", __name__)

    @routes.get("/", defaults={"path": ""})
    @routes.get("/<path:path>")
    def enter(path: str) -> Response:  # noqa: ARG001 - the address is read as it was sent, not as it was decoded
        wanted = asked_for(node.landing_of(DEFAULT_POOL), node.all_prefixes(node.pools.stats()))
        if node.fleet_only:
            return elsewhere(node)
        return only_looking(node) or visit(node, wanted)

    return routes


def visit(node: NodeContext, wanted: str) -> Response:
    """Somebody comes: take a sandbox for them, and lead them there."""
    claimed = node.claims.claim(DEFAULT_POOL)
    if isinstance(claimed, Refusal):
        return no_room(node, claimed)
    return Response(status=302, headers={"Location": node.addresses.sandbox(claimed.key, wanted)})


def only_looking(node: NodeContext) -> Response | None:
    """What those get who would not use a sandbox if they were given one, and what comes first in a frame."""
    headers = request.headers
    if request.method == "HEAD":
        return Response(status=200)
    if "prefetch" in headers.get("Sec-Purpose", headers.get("Purpose", "")):
        # A browser that guesses where its user will go takes nothing; it asks again when they do.
        return Response(status=503)
    match purpose(*(headers.get(f"Sec-Fetch-{word}", "") for word in ("Mode", "Dest", "Site"))):
        case "part":
            return answers.refusal(Refusal("forbidden", "a sandbox is for someone who comes, not for a part of a page"))
        case "frame":
            # Browsers judge who may frame this page before it can lead on, and before anything is taken.
            return Response(node.pages.render("frame"), mimetype="text/html")
        case _:
            return None


def asked_for(lands: Landing, prefixes: Container[str] = ()) -> str:
    """The path and query inside a sandbox that the visitor wants; where one lands if none, `prefixes` lead inside too.

    Raises:
        NotFound: this is no path that leads into a sandbox.
    """
    raw = as_written(request.environ["RAW_URI"].encode("latin-1"))
    path, mark, query = raw.partition("?")
    inner = path_inside(path, prefixes)
    if inner == "":
        landing = lands.path("", phone=is_phone(request.headers.get("Sec-CH-UA-Mobile", ""), request.user_agent.string))
        return landing + (("&" if "?" in landing else mark) + query if query else "")
    if inner is None or EMPTY_PART.match(inner):
        raise NotFound("there is nothing here")
    return incoming.checked_path(inner + mark + query)


def no_room(node: NodeContext, refused: Refusal) -> Response:
    """An honest 503 that tries again by itself."""
    if refused.status not in RETRY_SECONDS:
        return answers.page(
            node.pages, 503, "This server takes no new visitors", "It is about to rest. Please come back later."
        )
    seconds = RETRY_SECONDS[refused.status]
    page = Response(node.pages.render(refused.status, seconds=seconds), status=503, mimetype="text/html")
    page.headers["Retry-After"] = str(seconds)
    return page


def elsewhere(node: NodeContext) -> Response:
    if answers.wants_page():
        return answers.page(
            node.pages, 403, "Notebooks start elsewhere", "This is one of several servers; the way in leads past all."
        )
    return answers.refusal(Refusal("forbidden", f"this node serves only its fleet: go to {node.entry_url}/"))
