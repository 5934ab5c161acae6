"""Which addresses visitors may come in at, and what each asks for."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import quote

from flask import abort, request
from werkzeug.routing import BaseConverter

from redirector.memory.fleet_state import FleetState
from redirector.model.visitor_cookie import sandbox_key
from redirector.placing.outcomes import AdmissionRequest
from redirector.web.failures import prefers_page
from redirector.web.visitors.answers import PLAIN_SECONDS
from redirector.web.visitors.content_door import ContentVisit
from redirector.web.visitors.landing import inner_path
from tmpnb_common.landing import path_inside
from tmpnb_common.paths import PATH_LIMIT, as_written, path_problem
from tmpnb_common.wire import DEFAULT_POOL

RULES = ("/", "/<landing:first>", "/<landing:first>/", "/<landing:first>/<path:rest>")

TAKEN = (
    "api",
    "badge_logo.svg",
    "build",
    "c",
    "dashboard",
    "github",
    "health",
    "healthz",
    "hosts",
    "metrics",
    "robots.txt",
    "static",
    "stats",
    "status",
    "v2",
    "versions",
    "wait",
)
"""First parts of paths that are the redirector's own: whatever a node says, nobody comes in there."""

OURS = ("pool", "fresh")
"""Parts of the query that are meant for the redirector; the pool at the entry itself only."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request to the front door asks for."""

    visit: AdmissionRequest
    suffix: str
    """Its path and query as they came, to stand behind `/wait/<ticket>`."""
    fresh: bool
    content: ContentVisit | None = None
    """Of whoever follows a link to a content."""

    @property
    def key(self) -> str:
        """What a visitor has one sandbox for."""
        return sandbox_key(self.visit.pool, self.content.content.name if self.content else "")


@dataclass(frozen=True, slots=True)
class FleetPrefixes:
    """First parts of paths at which some node lets visitors in, beyond those that everybody knows."""

    fleet_state: FleetState

    def __contains__(self, first: object) -> bool:
        boards = self.fleet_state.board.seen.values()
        return any(seen.stats is not None and first in seen.stats.landing_prefixes for seen in boards)


class LandingConverter(BaseConverter):
    """The first part of a path, unless it is the redirector's own."""

    regex = rf"(?!(?:{'|'.join(map(re.escape, TAKEN))})$).+"


def read_address(path: str, prefixes: Container[str]) -> Wanted:
    """Read a path and the request's query; whatever is no visitor's is answered here."""
    query = as_written(request.query_string)
    parts = [part for part in query.split("&") if part]
    pool = request.args.get("pool") or DEFAULT_POOL if path == "/" else DEFAULT_POOL
    ours = OURS if path == "/" else OURS[1:]
    kept = [part for part in parts if part.partition("=")[0] not in ours]
    inner = inner_path(path, query if len(kept) == len(parts) else "&".join(kept), prefixes)
    if inner is None:
        abort(404)
    if len(inner) > PATH_LIMIT:
        abort(414)
    if path_problem(inner if inner.startswith("/") else f"/{inner}"):
        abort(404)
    # The query goes along whole: the pool is part of what they wait for.
    suffix = (inner_path(path, "", prefixes) or "/") + (f"?{query}" if query else "")
    if path_inside(suffix, prefixes) is None:
        suffix = f"/fresh{suffix}"  # a place that only the address of a former sandbox could name
    fresh = any(part.partition("=")[0] == "fresh" for part in parts)
    interval = 0.0 if is_program() else PLAIN_SECONDS
    return Wanted(AdmissionRequest(inner, pool, request.remote_addr or "", interval=interval), suffix, fresh)


def behind(prefix: str) -> str:
    """What stands behind the first part of the request's path, as the client sent it."""
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or "").partition("?")[0]
    raw = raw.removeprefix(request.script_root)
    # Whoever sends that part encoded, or a whole URL, gets the path as the server read it.
    return raw.removeprefix(prefix) if raw.startswith(prefix) else quote(request.path.removeprefix(prefix))


def is_program() -> bool:
    """Whether the request comes from a program that wants JSON rather than from a person's browser."""
    return not prefers_page() and "application/json" in request.accept_mimetypes.values()
