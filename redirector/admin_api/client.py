"""A redirector's admin API, a method a call, as operators' tools use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import quote, urlencode

from redirector.admin_api.answers import (
    AnnouncedView,
    ChangeView,
    EndedView,
    EventsView,
    EventView,
    NodesView,
    PlaceView,
    PoolChangeView,
    RemovedView,
    SessionsView,
)
from redirector.admin_api.calls import ANSWER_SECONDS, AdminCalls
from redirector.admin_api.content_views import (
    AddedContentView,
    ContentNameView,
    ContentsView,
    ContentView,
    PatternChangeView,
)
from redirector.admin_api.errors import (
    OutcomeUnknownError,
    RefusedError,
    UnreachableError,
)
from redirector.admin_api.views import FleetView, NodeView
from redirector.model.images import Fetch, Selftest
from tmpnb_common.wire import TRIAL_SECONDS

SELFTEST_SECONDS = TRIAL_SECONDS + 40.0
"""Longer than the front waits for a selftest, and that waits longer than the redirector."""


class AdminClient:
    """One fleet's admin API. What its calls raise is told in `AdminCalls`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        by: str = "",
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Speak to the redirector at `url`, for the operator `by`.

        Raises:
            ValueError: `url` is no http address.
        """
        self._calls = AdminCalls(url, token, by=by, answer_seconds=answer_seconds)

    @property
    def url(self) -> str:
        """Where the redirector is."""
        return self._calls.url

    def healthy(self) -> bool:
        """Whether the redirector answers its health check with 200 now."""
        return self._calls.healthy()

    def nodes(self) -> Sequence[NodeView]:
        return self._calls.read(NodesView, "/api/nodes").nodes

    def node(self, name: str) -> NodeView:
        return self._calls.read(NodeView, _node_path(name))

    def fleet(self) -> FleetView:
        return self._calls.read(FleetView, "/api/fleet")

    def add(
        self, url: str, *, name: str = "", control_url: str = "", token: str = "", reason: str = ""
    ) -> tuple[bool, NodeView]:
        """Add a node; False beside it if it was there already."""
        fields = {"url": url, "name": name, "control_url": control_url, "token": token, "reason": reason}
        body = {key: value for key, value in fields.items() if value}
        status, node = self._calls.change(NodeView, "POST", "/api/nodes", body)
        return status == HTTPStatus.CREATED, node

    def drain(
        self, name: str, *, reason: str = "", force: bool = False, end_sessions_at: float = 0.0
    ) -> tuple[bool, NodeView]:
        """Stop new visitors; False beside the node if it was draining already."""
        body: dict[str, object] = {"reason": reason, "force": force}
        if end_sessions_at:
            body["end_sessions_at"] = end_sessions_at
        return self._set_intent(name, "drain", body)

    def resume(self, name: str, *, reason: str = "") -> tuple[bool, NodeView]:
        """Let visitors in again; False beside the node if it was active already."""
        return self._set_intent(name, "resume", {"reason": reason})

    def remove(self, name: str, *, reason: str = "", force: bool = False) -> None:
        self._calls.change(RemovedView, "DELETE", _node_path(name), {"reason": reason, "force": force})

    def events(
        self, *, since: int = 0, limit: int = 100, not_before: float = 0.0, not_after: float = 0.0, node: str = ""
    ) -> Sequence[EventView]:
        """Events after an id, oldest first; without one the newest. `not_before` and `not_after` are times."""
        query: dict[str, object] = {"since": since, "limit": limit, "from": max(0, int(not_before))}
        if not_after:
            query["until"] = int(not_after)
        if node:
            query["node"] = node
        return self._calls.read(EventsView, f"/api/events?{urlencode(query)}").events

    def place(self, pool: str = "") -> PlaceView:
        """Where the next visitor would go."""
        return self._calls.read(PlaceView, f"/api/place?pool={quote(pool, safe='')}")

    def put_image(self, name: str, pool: str, image: str, *, reason: str = "") -> str | None:
        """Move a node's pool to another image; the image before, or None if it was there already."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}"
        roll = self._calls.change(PoolChangeView, "PUT", path, {"image": image, "reason": reason})[1]
        return roll.image_before if roll.changed else None

    def resize(
        self, name: str, pool: str, *, capacity: int | None = None, warm: int | None = None, reason: str = ""
    ) -> PoolChangeView:
        """Resize a node's pool, in sandboxes; None leaves a number as it is."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}"
        body = {"capacity": capacity, "warm": warm, "reason": reason}
        return self._calls.change(PoolChangeView, "PUT", path, body)[1]

    def sessions(self, nodes: Iterable[str] = ()) -> SessionsView:
        """The visitors' sessions on the named nodes, or on all."""
        query = urlencode([("node", name) for name in nodes])
        return self._calls.read(SessionsView, f"/api/sessions?{query}")

    def end_session(self, name: str, *, node: str = "", reason: str = "") -> EndedView:
        """End a session at once, on the node `node` if it is given."""
        path = f"/api/sessions/{_segment(name, 'unknown_session', 'no session is named')}"
        return self._calls.change(EndedView, "DELETE", path, {"node": node, "reason": reason})[1]

    def say(self, text: str, *, seconds: int = 0, nodes: Iterable[str] = ()) -> AnnouncedView:
        """Let the pages of all sessions, or of the named nodes, show a line for so long; an empty one ends that."""
        body = {"text": text, "seconds": seconds, "nodes": list(nodes)}
        return self._calls.change(AnnouncedView, "POST", "/api/say", body)[1]

    def contents(self) -> ContentsView:
        """Every content, what links may ask for beside them, and the workers."""
        return self._calls.read(ContentsView, "/api/content")

    def content(self, name: str) -> ContentView:
        return self._calls.read(ContentView, _content_path(name))

    def add_content(
        self,
        name: str,
        source: str,
        *,
        pool: str = "",
        page: str = "",
        whole_pool: bool = False,
        token: str = "",
        reason: str = "",
    ) -> AddedContentView:
        """Name a content; its first fetch begins at once."""
        fields = {"name": name, "source": source, "pool": pool, "open": page, "token": token, "reason": reason}
        body: dict[str, object] = {key: value for key, value in fields.items() if value}
        return self._calls.change(AddedContentView, "POST", "/api/content", {**body, "whole_pool": whole_pool})[1]

    def refresh_content(self, name: str, *, reason: str = "") -> None:
        """Have a content fetched now; nobody waits for that."""
        self._calls.change(ContentNameView, "POST", f"{_content_path(name)}/refresh", {"reason": reason})

    def remove_content(self, name: str, *, reason: str = "") -> None:
        self._calls.change(ContentNameView, "DELETE", _content_path(name), {"reason": reason})

    def allow_content(self, pattern: str, *, pool: str = "", reason: str = "") -> PatternChangeView:
        """Let links ask for what a pattern matches."""
        body = {"pattern": pattern, "reason": reason, **({"pool": pool} if pool else {})}
        return self._calls.change(PatternChangeView, "POST", "/api/content-patterns", body)[1]

    def deny_content(self, pattern: str, *, reason: str = "") -> PatternChangeView:
        """Let links ask for it no longer."""
        body = {"pattern": pattern, "reason": reason}
        return self._calls.change(PatternChangeView, "DELETE", "/api/content-patterns", body)[1]

    def fetch_image(self, name: str, pool: str, image: str) -> Fetch:
        """Have a node fetch an image, and hear how far that is. Nothing moves, so it may be asked again and again."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}/fetch"
        try:
            return self._calls.call(Fetch, "POST", path, {"image": image})[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def selftest(self, name: str, pool: str = "") -> Selftest:
        """Let a node prove itself. It leaves nothing behind, so a lost answer is no more than an unreachable one."""
        path = f"{_node_path(name)}/selftest"
        try:
            return self._calls.call(Selftest, "POST", path, {"pool": pool}, SELFTEST_SECONDS)[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def _set_intent(self, name: str, verb: str, body: Mapping[str, object]) -> tuple[bool, NodeView]:
        change = self._calls.change(ChangeView, "POST", f"{_node_path(name)}/{verb}", body)[1]
        return change.changed, change.node


def _node_path(name: str) -> str:
    return f"/api/nodes/{_segment(name, 'unknown_node', 'no node is named')}"


def _content_path(name: str) -> str:
    return f"/api/content/{_segment(name, 'unknown_content', 'no content is named')}"


def _segment(name: str, code: str, refusal: str) -> str:
    """A name as one segment of a path."""
    if name.strip(".") == "":
        # A path of dots would be folded away on the way and lead to another call.
        raise RefusedError(code, f"{refusal} {name!r}")
    return quote(name, safe="")
