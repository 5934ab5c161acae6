"""What the redirector says to nodes, and what they answer: parsed here, once, into frozen objects.

A node that fails is an observation (`Failure`), not an exception. The node's token goes to the node's own address only:
the one redirect that is followed (an original tmpnb's, from `/stats` to `/api/stats`) carries none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from redirector.model.images import Fetch, Selftest
from redirector.model.nodes import NAME, Failure, FailureKind, Node
from redirector.model.sessions import VisitorSession, parse_sessions
from redirector.node_client.http import BoundedHttp, NodeResponse, Request
from redirector.node_client.node_metrics import Families, NodeMetricsError, parse_metrics
from redirector.node_client.resolver import is_address
from tmpnb_common.json_object import JsonError, decode
from tmpnb_common.wire import (
    TRIAL_SECONDS,
    Claim,
    NodeStats,
    Refusal,
    parse_claim,
    parse_claims,
    parse_refusal,
    parse_stats,
)

STATS_LIMIT = 256 * 1024
ANSWER_LIMIT = 64 * 1024
SANDBOXES_LIMIT = 4 * 1024 * 1024
"""Bytes. A node's stats take half a kilobyte and a bit for every pool; a list of sandboxes 200 bytes for each."""

METRICS_LIMIT = 128 * 1024
"""Bytes; an agent with ten pools has 20,000 to say."""

REDIRECT = (301, 302, 303, 307, 308)
DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
AWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
UNAVAILABLE = "unavailable"
"""What stands before an agent answers for it while that is away: a node's own proxy with this word, others without."""

_LABELS = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
"""What stands before a node's own host where every sandbox has one of its own."""

REDIRECTS = 3
TMPNB_STATS = "/api/stats"
MESSAGE_LIMIT = 500
HOME_SECONDS = 0.8
"""For the question whether a visitor's sandbox lives: they get another one where that is not known soon."""

CONTROL_SECONDS = 3.0
"""For calls that an operator waits for."""

PROGRESS_LIMIT = 1000
"""Characters of what a node says of an image that it fetches."""
SELFTEST_SECONDS = TRIAL_SECONDS + 20.0
"""Longer than the node's own nginx waits for the trial."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor wants of a node. `path` is the path and query inside the sandbox; empty for the landing page."""

    ticket: str
    path: str = ""
    pool: str = ""
    attempt: str = ""
    """The search that this claim belongs to: what it got is given back by this, whenever the node gets to it."""


class AgentClient:
    """Speaks to nodes. Safe to use from several threads."""

    def __init__(
        self, http: BoundedHttp, *, poll_seconds: float, claim_seconds: float, control_seconds: float = CONTROL_SECONDS
    ) -> None:
        self._http = http
        self._poll_seconds = poll_seconds
        self._claim_seconds = claim_seconds
        self._control_seconds = control_seconds

    def stats(self, address: str) -> NodeStats | Failure:
        """Ask for a node's stats. Follows redirects within the node's own origin."""
        url = f"{address}/stats"
        for _ in range(REDIRECTS + 1):
            answer = self._send(Request("GET", url, STATS_LIMIT), self._poll_seconds)
            if isinstance(answer, Failure):
                return answer
            if answer.status not in REDIRECT:
                return _stats(answer)
            target = _joined(url, answer.location)
            if _origin(target) != _origin(url):
                return Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats to another origin")
            # An original tmpnb does not know the path that a proxy may have put before it.
            url = f"{address}{TMPNB_STATS}" if urlsplit(target).path == TMPNB_STATS else target
        return Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats in a circle")

    def claim(self, node: Node, wish: Wish, *, protocol: int, seconds: float = math.inf) -> Claim | Refusal | Failure:
        """Ask a node for a sandbox, and wait for it no longer than any claim may take, nor than so many seconds.

        An original tmpnb (protocol 0) knows neither tickets nor paths.
        """
        path, query = _parts(wish)
        asked = {**_ticket(wish, path), "pool": wish.pool} if protocol else {}
        answer = self._spawn(node, asked, seconds, repeatable=protocol > 0)
        if isinstance(answer, Failure):
            return answer
        try:
            if answer.status != HTTPStatus.OK:
                return parse_refusal(answer.status, answer.body)
            claim = parse_claim(answer.body)
            url = sandbox_url(node, claim.url)
        except JsonError as error:
            return Failure(FailureKind.PROTOCOL_ERROR, str(error))
        if not protocol:
            stem, _, own_query = url.partition("?")
            return Claim(_with_query(_with_query(f"{stem.rstrip('/')}{path or '/'}", query), own_query), claim.name)
        return Claim(_with_query(url, query), claim.name, claim.available)

    def claim_several(
        self, node: Node, wishes: Sequence[Wish], *, seconds: float = math.inf
    ) -> Sequence[Claim | Refusal | Failure]:
        """Ask a node for a sandbox of one pool for each of at most `TICKETS_AT_ONCE` visitors; in their order."""
        parts = [_parts(wish) for wish in wishes]
        tickets = [_filled(_ticket(wish, path)) for wish, (path, _) in zip(wishes, parts, strict=True)]
        answer = self._spawn(node, {"tickets": tickets, "pool": wishes[0].pool}, seconds, repeatable=True)
        if isinstance(answer, Failure):
            return [answer] * len(wishes)
        try:
            if answer.status != HTTPStatus.OK:
                return [parse_refusal(answer.status, answer.body)] * len(wishes)
            found = parse_claims(answer.body, len(wishes))
            return [
                Claim(_with_query(sandbox_url(node, one.url), query), one.name, one.available)
                if isinstance(one, Claim)
                else one
                for one, (_, query) in zip(found, parts, strict=True)
            ]
        except JsonError as error:
            return [Failure(FailureKind.PROTOCOL_ERROR, str(error))] * len(wishes)

    def _spawn(
        self, node: Node, asked: Mapping[str, object], seconds: float, *, repeatable: bool
    ) -> NodeResponse | Failure:
        request = Request(
            "POST",
            f"{node.address}/api/spawn",
            ANSWER_LIMIT,
            headers=_authorization(node.token),
            body=json.dumps(_filled(asked)).encode(),
            repeatable=repeatable,
        )
        return self._send(request, min(seconds, self._claim_seconds))

    def abandon(self, node: Node, attempts: Sequence[str]) -> Failure | None:
        """Give up at most `ATTEMPTS_AT_ONCE` claims. A node whose software does not know the call need not be told."""
        answer = self._control(node, "POST", "/api/abandon", {"attempts": list(attempts)})
        return answer if isinstance(answer, Failure) else None

    def put_state(self, node: Node) -> Failure | None:
        """Put the fleet's intent to a node."""
        body = {
            "state": node.intent,
            "generation": node.generation,
            "reason": node.intent_reason,
            "by": node.intent_by,
        }
        request = Request(
            "PUT",
            f"{node.address}/api/state",
            ANSWER_LIMIT,
            headers=_authorization(node.token),
            body=json.dumps(body).encode(),
        )
        answer = self._send(request, self._poll_seconds)
        if isinstance(answer, Failure):
            return answer
        if answer.status in DENIED:
            return Failure(FailureKind.PROTOCOL_ERROR, "it does not accept its token")
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} to its new state")
        return None

    def lives(self, node: Node, name: str) -> bool | Failure:
        """Whether a sandbox is still its visitor's. One that is ending may be known to its node for long."""
        url = f"{node.address}/api/sandboxes/{quote(name, safe='')}"
        request = Request("GET", url, ANSWER_LIMIT, headers=_authorization(node.token))
        answer = self._send(request, min(HOME_SECONDS, self._claim_seconds))
        if isinstance(answer, Failure):
            return answer
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} when asked for a sandbox")
        return _object(answer).get("state") == "claimed"

    def token_works(self, address: str, token: str) -> bool | Failure:
        """Make a call that only the node's token allows."""
        request = Request("GET", f"{address}/api/sandboxes", SANDBOXES_LIMIT, headers=_authorization(token))
        answer = self._send(request, self._control_seconds)
        if isinstance(answer, Failure):
            return answer
        if answer.status in DENIED:
            return False
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"its control API answered {answer.status}")
        return True

    def sessions(self, node: Node) -> list[str] | Failure:
        """The names of the sandboxes that visitors have."""
        answer = self._control(node, "GET", "/api/sandboxes", limit=SANDBOXES_LIMIT)
        if isinstance(answer, Failure):
            return answer
        found = _object(answer).get("sandboxes")
        if answer.status != HTTPStatus.OK or not isinstance(found, list):
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its sandboxes")
        named = [(one.get("name"), one.get("state")) for one in found if isinstance(one, dict)]
        return [name for name, state in named if state == "claimed" and isinstance(name, str) and NAME.fullmatch(name)]

    def session_list(self, node: Node) -> list[VisitorSession] | Failure:
        """The sessions that visitors have there, and those that are ending."""
        answer = self._control(node, "GET", "/api/sandboxes", limit=SANDBOXES_LIMIT)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))
        return parse_sessions(node.name, _object(answer).get("sandboxes"))

    def end_session(self, node: Node, name: str) -> bool | Failure:
        """End one session; False if it has ended meanwhile."""
        answer = self._control(node, "DELETE", f"/api/sandboxes/{quote(name, safe='')}")
        if isinstance(answer, Failure):
            return answer
        if answer.status == HTTPStatus.OK:
            # An older node does not say whether it was ending already.
            return _object(answer).get("changed") is not False
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        return Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))

    def say(self, node: Node, text: str, seconds: int) -> bool | Failure:
        """Let the pages of its sessions show a line for so long; an empty one ends that."""
        answer = self._control(node, "PUT", "/api/say", {"text": text, "seconds": seconds})
        if isinstance(answer, Failure):
            return answer
        return True if answer.status == HTTPStatus.OK else Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))

    def end_sandbox(self, node: Node, name: str) -> Failure | None:
        """End one sandbox; one that is gone already is a success."""
        answer = self._control(node, "DELETE", f"/api/sandboxes/{quote(name, safe='')}")
        if isinstance(answer, Failure):
            return answer
        if answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            return None
        return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} to the end of a sandbox")

    def put_pool(
        self, node: Node, pool: str, *, image: str | None = None, capacity: int | None = None, warm: int | None = None
    ) -> Failure | None:
        """Move a pool to another image or resize it, in sandboxes; None leaves a value as it is."""
        changes = {"image": image, "capacity": capacity, "warm": warm}
        body = {name: value for name, value in changes.items() if value is not None}
        answer = self._control(node, "PUT", f"/api/pools/{quote(pool, safe='')}", body)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))
        return None

    def fetch_image(self, node: Node, pool: str, image: str) -> Fetch | Failure:
        """Have a node fetch an image, and hear how far that is. Nothing moves."""
        answer = self._control(node, "POST", f"/api/pools/{quote(pool, safe='')}/fetch", {"image": image})
        if isinstance(answer, Failure):
            return answer
        if _unknown_call(answer):
            # An older node fetches an image when its pool moves.
            return Fetch(there=True)
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))
        fields = _object(answer)
        texts = {name: value for name in ("progress", "problem") if isinstance(value := fields.get(name), str)}
        return Fetch(fields.get("there") is True, **{name: text[:PROGRESS_LIMIT] for name, text in texts.items()})

    def selftest(self, node: Node, pool: str) -> Selftest | Failure:
        """Let a trial sandbox run a cell."""
        body = {"pool": pool} if pool else {}
        answer = self._control(node, "POST", "/api/selftest", body, seconds=SELFTEST_SECONDS)
        if isinstance(answer, Failure):
            return answer
        if answer.status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
            return Failure(FailureKind.PROTOCOL_ERROR, _refusal(answer))
        measured = {key: value for key, value in _object(answer).items() if key not in ("status", "message")}
        return Selftest(answer.status == HTTPStatus.OK, _said(answer), measured)

    def metrics(self, node: Node) -> Families | Failure:
        """What a node tells Prometheus of itself."""
        answer = self._control(node, "GET", "/metrics", limit=METRICS_LIMIT)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its metrics")
        try:
            return parse_metrics(answer.body.decode())
        except (UnicodeDecodeError, NodeMetricsError) as error:
            return Failure(FailureKind.PROTOCOL_ERROR, str(error))

    def _control(
        self,
        node: Node,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        limit: int = ANSWER_LIMIT,
        seconds: float | None = None,
    ) -> NodeResponse | Failure:
        request = Request(
            method,
            f"{node.address}{path}",
            limit,
            headers=_authorization(node.token),
            body=None if body is None else json.dumps(body).encode(),
        )
        answer = self._send(request, seconds or self._control_seconds)
        if isinstance(answer, NodeResponse) and answer.status in DENIED:
            return Failure(FailureKind.PROTOCOL_ERROR, "it does not accept its token")
        return answer

    def _send(self, request: Request, seconds: float) -> NodeResponse | Failure:
        answer = self._http.send(request, seconds)
        if not isinstance(answer, NodeResponse) or answer.status not in AWAY:
            return answer
        if _object(answer).get("status", UNAVAILABLE) == UNAVAILABLE:
            return Failure(FailureKind.REFUSED, f"its agent does not answer ({answer.status} from its proxy)")
        return answer

    def close(self) -> None:
        """Close the connections to all nodes."""
        self._http.close()


def sandbox_url(node: Node, url: str) -> str:
    """Where the visitor goes: a path on the node's own origin, or an address on it or on a host below its own.

    Invariant: scheme and port are those at which visitors reach the node, so that no node sends them anywhere else.

    Raises:
        JsonError: the node points anywhere else, or to what is no address.
    """
    shown = f"claim: url {url!r:.60}"
    try:
        parts, own = urlsplit(url), urlsplit(node.url)
        path = unquote(parts.path)
        port, own_port = _port(parts), _port(own)
    except ValueError:
        raise JsonError(f"{shown} is no address") from None
    if (
        not url.isascii()
        or not url.isprintable()
        or " " in url
        or "\\" in path
        or any(part in (".", "..") for part in path.split("/"))
    ):
        raise JsonError(f"{shown} is no address")
    if url.startswith("/") and not parts.netloc:
        return f"{node.url}{url}"
    host, own_host = parts.hostname or "", own.hostname or ""
    below = host.removesuffix(f".{own_host}") if host.endswith(f".{own_host}") and not is_address(own_host) else ""
    if host != own_host and not _LABELS.fullmatch(below):
        raise JsonError(f"claim: url leads to {host!r:.60}, which is not the node's own host")
    if "@" in parts.netloc:
        raise JsonError(f"{shown} holds a user name")
    if (parts.scheme, port) != (own.scheme, own_port):
        raise JsonError(f"{shown} has another scheme or port than the node's own {own.scheme}, {own_port}")
    return url


def _port(parts: SplitResult) -> int | None:
    """The port of an address, be it left out.

    Raises:
        ValueError: it is none.
    """
    port = {"http": 80, "https": 443}.get(parts.scheme) if parts.port is None else parts.port
    if port == 0:
        raise ValueError("nobody listens at port 0")
    return port


def _parts(wish: Wish) -> tuple[str, str]:
    """The path for the node to put into its URL, and the query to add where there is no path: for the landing page."""
    return ("", wish.path.removeprefix("?")) if wish.path.startswith("?") else (wish.path, "")


def _ticket(wish: Wish, path: str) -> dict[str, object]:
    """What one visitor's claim says."""
    return {"ticket": wish.ticket, "attempt": wish.attempt, "path": path}


def _filled(asked: Mapping[str, object]) -> dict[str, object]:
    """Without what is empty: the node has its own idea of that."""
    return {key: value for key, value in asked.items() if value}


def _with_query(url: str, query: str) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _stats(answer: NodeResponse) -> NodeStats | Failure:
    if answer.status != HTTPStatus.OK:
        return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its stats")
    try:
        return parse_stats(answer.body)
    except JsonError as error:
        return Failure(FailureKind.PROTOCOL_ERROR, str(error))


def _object(answer: NodeResponse) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where there is none."""
    try:
        return decode(dict[str, Any], answer.body)
    except JsonError:
        return {}


def _said(answer: NodeResponse) -> str:
    """What the node says about it, for an operator's eyes."""
    message = _object(answer).get("message")
    return message[:MESSAGE_LIMIT] if isinstance(message, str) else ""


def _unknown_call(answer: NodeResponse) -> bool:
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED or _object(answer).get("status") == "not_found"


def _refusal(answer: NodeResponse) -> str:
    """Why a node did not do as it was told."""
    if _unknown_call(answer):
        return "it does not know this call: its software is older than the redirector's"
    return _said(answer) or f"it answered {answer.status}"


def _authorization(token: str) -> dict[str, str]:
    """In tmpnb's spelling, which both kinds of node read."""
    return {"Authorization": f"token {token}"} if token else {}


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; nowhere, if that is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
