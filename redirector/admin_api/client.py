"""What operators' tools use to reach a redirector's admin API.

A call that did not get through says which of two things is true: nothing was asked of the redirector
(`UnreachableError`), or it was asked and its answer was lost (`OutcomeUnknownError`), so that only looking can tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, NewConnectionError, ProxyError

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
from redirector.admin_api.content_views import (
    AddedContentView,
    ContentNameView,
    ContentsView,
    ContentView,
    PatternChangeView,
)
from redirector.admin_api.errors import (
    AdminError,
    NotARedirectorError,
    OutcomeUnknownError,
    RefusedError,
    UnreachableError,
)
from redirector.admin_api.views import FleetView, NodeView
from redirector.model.images import Fetch, Selftest
from tmpnb_common.bounded_reading import TooLongError
from tmpnb_common.bounded_session import bounded_session, exchange
from tmpnb_common.json_object import JsonError, decode
from tmpnb_common.wire import TRIAL_SECONDS

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 40.0
"""Adding a node lets the redirector try it first, so an answer may take a while; the front waits 30 seconds for it."""
SELFTEST_SECONDS = TRIAL_SECONDS + 40.0
"""Longer than the front waits for a selftest, and that waits longer than the redirector."""
BODY_LIMIT = 16 * 2**20
"""Bytes; a thousand nodes with their pools stay far below."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")

View = TypeVar("View")


class AdminClient:
    """One fleet's admin API. Every call opens a connection of its own: a stale one would make outcomes unknown."""

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
        self.url = checked_url(url)
        self._by = by
        self._answer_seconds = answer_seconds
        self._session = bounded_session(token)
        # A proxy of the environment is meant for the way out, never for this machine.
        self._session.trust_env = urlsplit(self.url).hostname not in LOOPBACK

    def healthy(self) -> bool:
        """Whether the redirector answers its health check with 200 now."""
        try:
            status, _ = self._exchange("GET", "/healthz", None, self._answer_seconds)
        except AdminError:
            return False
        return status == HTTPStatus.OK

    def nodes(self) -> Sequence[NodeView]:
        return self._read(NodesView, "/api/nodes").nodes

    def node(self, name: str) -> NodeView:
        return self._read(NodeView, _node_path(name))

    def fleet(self) -> FleetView:
        return self._read(FleetView, "/api/fleet")

    def add(
        self, url: str, *, name: str = "", control_url: str = "", token: str = "", reason: str = ""
    ) -> tuple[bool, NodeView]:
        """Add a node; False beside it if it was there already."""
        fields = {"url": url, "name": name, "control_url": control_url, "token": token, "reason": reason}
        body = {key: value for key, value in fields.items() if value}
        status, node = self._change(NodeView, "POST", "/api/nodes", body)
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
        self._change(RemovedView, "DELETE", _node_path(name), {"reason": reason, "force": force})

    def events(
        self, *, since: int = 0, limit: int = 100, not_before: float = 0.0, not_after: float = 0.0, node: str = ""
    ) -> Sequence[EventView]:
        """Events after an id, oldest first; without one the newest. `not_before` and `not_after` are times."""
        query: dict[str, object] = {"since": since, "limit": limit, "from": max(0, int(not_before))}
        if not_after:
            query["until"] = int(not_after)
        if node:
            query["node"] = node
        return self._read(EventsView, f"/api/events?{urlencode(query)}").events

    def place(self, pool: str = "") -> PlaceView:
        """Where the next visitor would go."""
        return self._read(PlaceView, f"/api/place?pool={quote(pool, safe='')}")

    def put_image(self, name: str, pool: str, image: str, *, reason: str = "") -> str | None:
        """Move a node's pool to another image; the image before, or None if it was there already."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}"
        roll = self._change(PoolChangeView, "PUT", path, {"image": image, "reason": reason})[1]
        return roll.image_before if roll.changed else None

    def resize(
        self, name: str, pool: str, *, capacity: int | None = None, warm: int | None = None, reason: str = ""
    ) -> PoolChangeView:
        """Resize a node's pool, in sandboxes; None leaves a number as it is."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}"
        body = {"capacity": capacity, "warm": warm, "reason": reason}
        return self._change(PoolChangeView, "PUT", path, body)[1]

    def sessions(self, nodes: Iterable[str] = ()) -> SessionsView:
        """The visitors' sessions on the named nodes, or on all."""
        query = urlencode([("node", name) for name in nodes])
        return self._read(SessionsView, f"/api/sessions?{query}")

    def end_session(self, name: str, *, node: str = "", reason: str = "") -> EndedView:
        """End a session at once, on the node `node` if it is given."""
        path = f"/api/sessions/{_segment(name, 'unknown_session', 'no session is named')}"
        return self._change(EndedView, "DELETE", path, {"node": node, "reason": reason})[1]

    def say(self, text: str, *, seconds: int = 0, nodes: Iterable[str] = ()) -> AnnouncedView:
        """Let the pages of all sessions, or of the named nodes, show a line for so long; an empty one ends that."""
        body = {"text": text, "seconds": seconds, "nodes": list(nodes)}
        return self._change(AnnouncedView, "POST", "/api/say", body)[1]

    def contents(self) -> ContentsView:
        """Every content, what links may ask for beside them, and the workers."""
        return self._read(ContentsView, "/api/content")

    def content(self, name: str) -> ContentView:
        return self._read(ContentView, _content_path(name))

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
        return self._change(AddedContentView, "POST", "/api/content", {**body, "whole_pool": whole_pool})[1]

    def refresh_content(self, name: str, *, reason: str = "") -> None:
        """Have a content fetched now; nobody waits for that."""
        self._change(ContentNameView, "POST", f"{_content_path(name)}/refresh", {"reason": reason})

    def remove_content(self, name: str, *, reason: str = "") -> None:
        self._change(ContentNameView, "DELETE", _content_path(name), {"reason": reason})

    def allow_content(self, pattern: str, *, pool: str = "", reason: str = "") -> PatternChangeView:
        """Let links ask for what a pattern matches."""
        body = {"pattern": pattern, "reason": reason, **({"pool": pool} if pool else {})}
        return self._change(PatternChangeView, "POST", "/api/content-patterns", body)[1]

    def deny_content(self, pattern: str, *, reason: str = "") -> PatternChangeView:
        """Let links ask for it no longer."""
        body = {"pattern": pattern, "reason": reason}
        return self._change(PatternChangeView, "DELETE", "/api/content-patterns", body)[1]

    def fetch_image(self, name: str, pool: str, image: str) -> Fetch:
        """Have a node fetch an image, and hear how far that is. Nothing moves, so it may be asked again and again."""
        path = f"{_node_path(name)}/pools/{quote(pool, safe='')}/fetch"
        try:
            return self._call(Fetch, "POST", path, {"image": image})[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def selftest(self, name: str, pool: str = "") -> Selftest:
        """Let a node prove itself. It leaves nothing behind, so a lost answer is no more than an unreachable one."""
        path = f"{_node_path(name)}/selftest"
        try:
            return self._call(Selftest, "POST", path, {"pool": pool}, SELFTEST_SECONDS)[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def _set_intent(self, name: str, verb: str, body: Mapping[str, object]) -> tuple[bool, NodeView]:
        change = self._change(ChangeView, "POST", f"{_node_path(name)}/{verb}", body)[1]
        return change.changed, change.node

    def _read(self, view: type[View], path: str) -> View:
        """Ask without changing anything: a lost answer is then no more than an unreachable redirector."""
        try:
            return self._call(view, "GET", path, None)[1]
        except OutcomeUnknownError as problem:
            raise UnreachableError(str(problem)) from problem

    def _change(self, view: type[View], method: str, path: str, body: Mapping[str, object]) -> tuple[int, View]:
        try:
            return self._call(view, method, path, {**body, "by": self._by} if self._by else body)
        except NotARedirectorError as problem:
            if HTTPStatus.BAD_REQUEST <= problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            # What stands before a redirector may answer for it after the request went through.
            raise OutcomeUnknownError(str(problem)) from problem

    def _call(
        self,
        view: type[View],
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        seconds: float | None = None,
    ) -> tuple[int, View]:
        """The status and the answer of a call that went well."""
        status, raw = self._exchange(method, path, body, seconds or self._answer_seconds)
        if status < HTTPStatus.BAD_REQUEST:
            return status, self._parsed(view, status, raw)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as problem:
            raise NotARedirectorError(f"{self.url} answered with status {status} and no JSON", status) from problem
        code = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(code, str) or code == "not_found":
            raise NotARedirectorError(f"{self.url} answered with status {status}: is that a redirector's URL?", status)
        raise RefusedError(code, str(answer.get("message") or code))

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None, seconds: float) -> tuple[int, bytes]:
        try:
            answer, raw = exchange(
                self._session, method, f"{self.url}{path}", body, timeout=(CONNECT_SECONDS, seconds), limit=BODY_LIMIT
            )
        except requests.exceptions.SSLError as problem:
            raise UnreachableError(
                f"the certificate or TLS of {self.url} cannot be trusted; "
                "the file of an authority of your own is named in REQUESTS_CA_BUNDLE"
            ) from problem
        except (requests.exceptions.InvalidURL, LocationValueError) as problem:
            raise UnreachableError(f"{self.url} is no usable address") from problem
        except TooLongError as problem:
            raise OutcomeUnknownError(f"{self.url} sends an endless answer") from problem
        except (requests.RequestException, HTTPError) as problem:
            if _was_never_sent(problem):
                raise UnreachableError(f"no redirector answers at {self.url}: is it running?") from problem
            raise OutcomeUnknownError(f"the connection to {self.url} broke before an answer came") from problem
        except Exception as problem:
            # A stranger's answer: the libraries' parsers raise what they come upon.
            message = f"{self.url} sent what is no HTTP ({type(problem).__name__})"
            raise OutcomeUnknownError(message) from problem
        if answer.is_redirect:
            raise UnreachableError(f"{self.url} redirects elsewhere; name the redirector's own URL")
        return answer.status_code, raw

    def _parsed(self, view: type[View], status: int, raw: bytes) -> View:
        try:
            return decode(view, raw, "the answer")
        except JsonError as problem:
            message = f"{self.url} answered, but not as a redirector does ({problem})"
            raise NotARedirectorError(message, status) from problem


def checked_url(url: str) -> str:
    """A redirector's URL without a trailing slash.

    Raises:
        ValueError: it is no http address, or holds what does not belong there.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{url!r} is no address such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address holds no user name, query or fragment")
    return url.rstrip("/")


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


def _was_never_sent(problem: requests.RequestException | HTTPError) -> bool:
    cause = problem.args[0] if problem.args else None
    return isinstance(problem, requests.ConnectTimeout) or (
        isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError | ProxyError)
    )
