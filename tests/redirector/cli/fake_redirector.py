"""A redirector's admin API in memory, over real HTTP on a free port, that can also misbehave on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, unquote

TOKEN = "the-admin-token-of-the-fake"


def node(name: str, port: int = 8101, **changes: Any) -> dict[str, Any]:
    """A NODE as docs/http-api.md has it."""
    return {
        "name": name,
        "url": f"http://127.0.0.1:{port}",
        "control_url": "",
        "version": 1,
        "node_id": f"id-of-{name}",
        "intent": "active",
        "intent_reason": "",
        "intent_by": "",
        "intent_since": 1000.0,
        "pending": False,
        "drained": False,
        "health": "up",
        "reason": "",
        "since": 1000.0,
        "eligible": True,
        "available": 4,
        "capacity": 4,
        "starting": 0,
        "startable": 0,
        "claimed": 0,
        "pools": {
            "default": {
                "available": 4,
                "capacity": 4,
                "claimed": 0,
                "problem": "",
                "image": "old",
                "image_before": "",
                "content": "",
                "image_ordered": "",
                "capacity_ordered": None,
                "stale": 0,
                "ending": 0,
                "fetching": "",
                "starting": 0,
                "startable": 0,
                "unfit": "",
                "unusable": 0,
                "over": 0,
            }
        },
        "software": "0.1.0",
        "image": "process",
        "stats_age_seconds": 0.5,
        "added_at": 1000.0,
        "max_age_seconds": 0,
        "end_sessions_at": 0.0,
        "ending": 0,
        "unusable": 0,
        "over": 0,
        "current": True,
        "last_known": None,
        "health_reason": "",
        "unanswered": "",
    } | changes


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    authorization: str
    body: dict[str, Any]


@dataclass
class Answer:
    """What to send back: JSON, or `raw` bytes as they are; `hang_up` closes the connection instead."""

    status: int
    json: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


class FakeRedirector:
    """Answers like a redirector with the given nodes. `answers` replaces the answer to everything."""

    def __init__(self, *nodes: dict[str, Any], port: int = 0, token: str = TOKEN) -> None:
        self.token = token
        self.nodes = {each["name"]: each for each in nodes}
        self.requests: list[Request] = []
        self.events: list[dict[str, Any]] = []
        self.bad_images: set[str] = set()
        """Images whose selftest fails."""
        self.fetches: dict[str, list[dict[str, Any]]] = {}
        """What nodes say, one after the other, to whoever has them fetch an image; those without an entry are there."""
        self.on_look: Callable[[FakeRedirector], None] = _leave_alone
        """What happens in the fleet each time before somebody looks."""
        self.answers: Callable[[Request], Answer] = self.answer
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        cast("Any", self._server).fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Request) -> Answer:
        if request.path == "/healthz":
            return Answer(200, {"status": "ok"})
        if request.authorization != f"Bearer {self.token}":
            return Answer(403, {"status": "forbidden", "message": "the admin token is missing or wrong"})
        if request.method == "GET":
            self.on_look(self)
        path, _, query = request.path.partition("?")
        parts = [unquote(part) for part in path.removeprefix("/api/").split("/")]
        match parts[0]:
            case "nodes":
                return self._nodes(request, parts[1:])
            case "events":
                return Answer(200, {"events": self._since(dict(parse_qsl(query)))})
            case "place":
                return Answer(200, self._place())
        return Answer(200, self._fleet())

    def _since(self, query: dict[str, str]) -> list[dict[str, Any]]:
        since, limit, at = int(query["since"]), int(query["limit"]), int(query["from"])
        node = query.get("node", "")
        found = [
            event for event in self.events if event["id"] > since and event["at"] >= at and node in ("", event["node"])
        ]
        return found[:limit] if since else found[-limit:]

    def _place(self) -> dict[str, Any]:
        chosen = next((each["name"] for each in self.nodes.values() if each["eligible"] and each["available"]), None)
        nodes = [
            {
                "name": each["name"],
                "order": "first" if each["eligible"] else "never",
                "available": each["available"],
                "coming": 0,
                "reason": "next" if each["name"] == chosen else each["reason"] or "has fewer free slots",
            }
            for each in self.nodes.values()
        ]
        return {"pool": "default", "next": chosen, "verdict": "placed" if chosen else "full", "nodes": nodes}

    def _nodes(self, request: Request, parts: list[str]) -> Answer:
        if parts and parts[0] not in self.nodes:
            return Answer(404, _error("unknown_node", f"no node is named {parts[0]!r}"))
        match request.method, parts:
            case "GET", []:
                return Answer(200, {"nodes": list(self.nodes.values())})
            case "POST", []:
                return self._add(request.body)
            case "GET", [name]:
                return Answer(200, self.nodes[name])
            case "DELETE", [name]:
                return self._remove(name, request.body)
        return self._command(request, parts)

    def _command(self, request: Request, parts: list[str]) -> Answer:
        match request.method, parts:
            case "POST", [name, "selftest"]:
                image = self.nodes[name]["pools"]["default"]["image"]
                failed = image in self.bad_images
                message = "the kernel never answered" if failed else "a cell ran"
                return Answer(200, {"passed": not failed, "message": message, "measured": {"start_seconds": 1.5}})
            case "POST", [_, "pools", _, "fetch"]:
                answers = self.fetches.get(request.body["image"], [{"there": True}])
                return Answer(200, answers.pop(0) if len(answers) > 1 else answers[0])
            case "PUT", [name, "pools", pool]:
                return self._change_pool(name, pool, request.body)
        name, verb = parts
        return self._set_intent(name, verb, request.body)

    def _fleet(self) -> dict[str, Any]:
        nodes = self.nodes.values()
        sums = {
            key: sum(each[key] for each in nodes)
            for key in ("available", "capacity", "starting", "startable", "claimed")
        }
        states = [each["health"] if each["intent"] == "active" else "draining" for each in nodes]
        return sums | {
            "nodes": {state: states.count(state) for state in states},
            "alarms": [],
            "version": "0.1.0",
            "poller": {"holder": "here:1", "age_seconds": 0.5},
        }

    def _add(self, body: dict[str, Any]) -> Answer:
        name, url = body.get("name", f"n{len(self.nodes) + 1}"), body["url"]
        known = next((each for each in self.nodes.values() if each["url"] == url), None)
        if known:
            return Answer(200, known) if known["name"] == name else Answer(409, _error("duplicate_url", known["name"]))
        if name in self.nodes:
            return Answer(409, _error("duplicate_name", f"{name} is taken"))
        self.nodes[name] = node(name, url=url, control_url=body.get("control_url", ""))
        self._note("node_added", name, body)
        return Answer(201, self.nodes[name])

    def _remove(self, name: str, body: dict[str, Any]) -> Answer:
        if self.nodes[name]["claimed"] and not body.get("force"):
            return Answer(409, _error("has_sessions", f"{name} still has sessions"))
        del self.nodes[name]
        self._note("node_removed", name, body)
        return Answer(200, {"removed": name})

    def _note(self, kind: str, name: str, body: dict[str, Any]) -> None:
        reason, number = body.get("reason", ""), len(self.events) + 1
        self.events.append({"id": number, "at": 1000.0, "kind": kind, "node": name, "by": "ann", "reason": reason})

    def _change_pool(self, name: str, pool: str, body: dict[str, Any]) -> Answer:
        if "image" in body:
            return self._roll(name, pool, body["image"])
        before = self.nodes[name]["pools"][pool]["capacity"]
        after = before if body["capacity"] is None else body["capacity"]
        self.nodes[name]["pools"][pool]["capacity"] = after
        changed = after != before or body["warm"] is not None
        return Answer(200, {"changed": changed, "image_before": None, "capacity_before": before})

    def _roll(self, name: str, pool: str, image: str) -> Answer:
        entry = self.nodes[name]["pools"].get(pool)
        if entry is None:
            return Answer(404, _error("unknown_pool", f"{name} has no pool {pool!r}"))
        before = entry["image"]
        if before == image:
            return Answer(200, {"changed": False, "image_before": None})
        entry |= {"image": image, "image_before": before}
        return Answer(200, {"changed": True, "image_before": before})

    def _set_intent(self, name: str, verb: str, body: dict[str, Any]) -> Answer:
        wanted = "draining" if verb == "drain" else "active"
        others = [each for each in self.nodes.values() if each["name"] != name and each["intent"] == "active"]
        changed = self.nodes[name]["intent"] != wanted
        if changed and verb == "drain" and not others and not body.get("force"):
            return Answer(409, _error("last_node", f"{name} is the last node that takes visitors"))
        self.nodes[name] |= {
            "intent": wanted,
            "intent_reason": body.get("reason", ""),
            "end_sessions_at": body.get("end_sessions_at", 0.0),
            "eligible": wanted == "active",
            "drained": wanted == "draining" and not self.nodes[name]["claimed"],
        }
        return Answer(200, {"changed": changed, "node": self.nodes[name]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _leave_alone(_fake: FakeRedirector) -> None:
    """Nothing happens."""


def _error(code: str, message: str) -> dict[str, str]:
    return {"status": code, "message": message}


class _Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        fake: FakeRedirector = cast("Any", self.server).fake
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        request = Request(self.command, self.path, self.headers.get("Authorization", ""), body)
        fake.requests.append(request)
        answer = fake.answers(request)
        if answer.hang_up:
            self.close_connection = True
            return
        payload = json.dumps(answer.json).encode() if answer.raw is None else answer.raw
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(payload))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: what arrived is in `requests`."""
