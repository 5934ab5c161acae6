"""A fake node: what it knows and how it answers. `fleet_nodes` puts it behind a port."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

Mood = Literal[
    "well",
    "hanging",
    "garbled",
    "endless",
    "trickling",
    "mute",
    "failing",
    "elsewhere",
    "alien",
    "odd",
    "orphaned",
    "fronted",
]
"""How a node answers: `mute` closes without a word, `failing` says 500, `elsewhere` redirects to another
origin, `alien` is no HTTP server, `odd` has a header that the standard library's parser falls over, `orphaned`
is a node's proxy whose agent is away,
`fronted` another proxy, with a page of its own."""


@dataclass
class Asked:
    """A request as a node got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes = b""
    """The body as it came."""


@dataclass
class FakeNode:
    """One node. Its fields may be set from any thread at any time."""

    name: str
    capacity: int = 5
    protocol: int = 1
    token: str = "a-node-token-for-tests"
    ready: int = 5
    starting: int = 0
    refills: bool = False
    """Whether a claimed slot's place is taken by one that is `startable`."""
    mood: Mood = "well"
    claim_mood: Mood = "well"
    lies: bool = False
    """Its stats promise slots that its claims refuse."""
    puzzled_by: str = ""
    """Paths that hold this make no sense to it."""
    puzzled_words: str = "such a path makes no sense"
    nameless: list[Any] = field(default_factory=list)
    """What it lists as names of sandboxes beside those that it has."""
    cannot_end: bool = False
    """Its engine cannot remove what has ended, so that it goes on knowing it."""
    own_state: str = "active"
    claim_seconds: float = 0.0
    """How long a claim takes it."""
    prefix: str = ""
    """The path below which it is reached, where one name serves several nodes."""
    port: int = 0
    node_id: str = field(default_factory=lambda: secrets.token_hex(8))
    boot_id: str = field(default_factory=lambda: secrets.token_hex(8))
    fleet_state: str = "active"
    generation: int = 0
    image: str = "an/image"
    elsewhere: str = "http://127.0.0.2:1"
    origin: str = ""
    """Where sandboxes have origins of their own: the start of their URLs."""
    pools: dict[str, int] = field(default_factory=dict)
    """Ready sandboxes of pools beside the default one."""
    claims: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, str] = field(default_factory=dict)
    """The last attempt of each ticket that holds something."""
    abandoned: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    claimed: int = 0
    seq: int = 0
    accepts_state: bool = True
    problem: str = ""
    """Why its sandboxes do not start."""
    session: dict[str, Any] = field(default_factory=dict)
    """What it says of each of its sessions."""
    said: str = ""
    accepts_say: bool = True
    landing_prefixes: list[str] = field(default_factory=list)
    """Where it lets visitors in, beyond what everybody knows."""
    metrics: str = ""
    """What it tells Prometheus."""
    bad_images: set[str] = field(default_factory=set)
    """Images whose selftest fails."""
    holds_content: bool = True
    blobs: set[str] = field(default_factory=set)
    """The digests of what it holds."""
    refuses_blobs: str = ""
    """Why it takes none."""
    homes: dict[str, int] = field(default_factory=dict)
    """Bytes that a home of each pool holds."""
    contents: dict[str, str] = field(default_factory=dict)
    """The digest that each pool's homes are made with."""
    wished: dict[str, str] = field(default_factory=dict)
    """The digest that each ticket's visitor came for."""
    filled: list[str] = field(default_factory=list)
    """Tickets whose homes were filled, in order."""
    fill_states: list[dict[str, str]] = field(default_factory=list)
    """What it says first, one after the other, to whoever has a home filled."""
    fetches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What it says, one after the other, to whoever has it fetch an image; of others it does not know the call."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    @property
    def draining(self) -> bool:
        return "draining" in (self.own_state, self.fleet_state)

    def restart(self) -> None:
        """As a restarted agent: another boot, the same node."""
        self.boot_id = secrets.token_hex(8)

    def spawns(self) -> list[Asked]:
        """The claims that reached it."""
        return [asked for asked in self.asked if asked.path == "/api/spawn"]

    def stats(self) -> dict[str, Any]:
        available = 0 if self.draining else self.ready
        old = {"available": available, "capacity": self.capacity, "version": "0.2.0", "container_image": self.image}
        if not self.protocol:
            return old
        self.seq += 1
        startable = self.capacity - self.ready - self.starting - self.claimed if self.refills else 0
        pools = {
            "default": {
                "available": available,
                "capacity": self.capacity,
                "starting": self.starting,
                "startable": startable,
                "claimed": self.claimed,
                "image": self.image,
                "problem": self.problem,
                "content": self.contents.get("default", ""),
            }
        } | {
            name: {"available": count, "capacity": count, "content": self.contents.get(name, "")}
            for name, count in self.pools.items()
        }
        return old | {
            "protocol": self.protocol,
            "node_id": self.node_id,
            "boot_id": self.boot_id,
            "name": self.name,
            "seq": self.seq,
            "state": "draining" if self.draining else "active",
            "generation": self.generation,
            "starting": self.starting,
            "startable": startable,
            "claimed": self.claimed,
            "claims_total": len(self.claims),
            "pools": pools,
            "landing_prefixes": self.landing_prefixes,
            "holds_content": self.holds_content,
        }

    def claim(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        body = asked.body if isinstance(asked.body, dict) else {}
        if "tickets" not in body:
            return self._claim(body)
        outcomes = [self._claim({**ticket, "pool": body.get("pool", "default")})[1] for ticket in body["tickets"]]
        return 200, {"claims": outcomes, "available": self.ready}

    def _refused(self, attempt: str, path: str, pool: str) -> tuple[int, dict[str, Any]] | None:
        if attempt in self.abandoned:
            return 409, {"status": "abandoned", "message": "nobody waits for it"}
        if self.puzzled_by and self.puzzled_by in path:
            return 400, {"status": "bad_request", "message": self.puzzled_words}
        if self.draining:
            return 409, {"status": "draining", "message": "it drains"}
        if pool != "default" and pool not in self.pools:
            return 404, {"status": "unknown_pool", "message": "no such pool"}
        if self.lies or (self.ready if pool == "default" else self.pools[pool]) == 0:
            startable = self.starting or self.stats().get("startable", 0)
            return 429, {"status": "starting" if startable else "full", "message": "none is ready"}
        return None

    def _claim(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        ticket, path = body.get("ticket") or secrets.token_hex(8), body.get("path", "")
        self.attempts[ticket] = body.get("attempt", "")
        if ticket in self.claims:
            return 200, self._handed_out(self.claims[ticket], path)
        pool = body.get("pool", "default")
        if refused := self._refused(self.attempts[ticket], path, pool):
            return refused
        if pool == "default":
            self.ready -= 1
            self.claimed += 1
        else:
            self.pools[pool] -= 1
        self.claims[ticket] = secrets.token_hex(8)
        self.wished[ticket] = body.get("content", "")
        return 200, self._handed_out(self.claims[ticket], path)

    def _handed_out(self, key: str, path: str) -> dict[str, Any]:
        if not self.protocol:
            return {"url": f"/user/{key}/?token=tmpnb"}
        return {"url": f"{self.origin}/user/{key}{path or '/lab'}", "name": key[:4], "available": self.ready}

    def answer(self, asked: Asked) -> tuple[int, dict[str, Any] | str, dict[str, str]]:
        """Status, body, headers."""
        match asked.method, asked.path:
            case "GET", "/stats" if not self.protocol:
                return 301, {}, {"Location": "/api/stats"}
            case "GET", "/stats" | "/api/stats":
                return 200, self.stats(), {}
            case "GET", "/metrics" if self._authorized(asked):
                return 200, self.metrics, {}
            case "POST", "/api/spawn" if not self.protocol or self._authorized(asked):
                return *self.claim(asked), {}
        if asked.method == "GET" and asked.path.startswith("/user/"):
            return 200, {"sandbox": "a notebook would be here"}, {}
        return *self._control(asked), {}

    def _control(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if not self.protocol:
            return 404, {}
        if not self._authorized(asked):
            return 403, {"status": "forbidden", "message": "no token"}
        match asked.method, asked.path.split("/")[2:]:
            case "GET", ["sandboxes"]:
                names = [*self.claims.values(), *self.nameless]
                sandboxes = [{"name": name, "state": "claimed", "pool": "default", **self.session} for name in names]
                return 200, {"sandboxes": sandboxes}
            case "GET", ["sandboxes", name]:
                lives = any(key.startswith(name) for key in self.claims.values())
                state = "ending" if self.cannot_end else "claimed"
                shown = {"name": name, "state": state}
                return (200, shown) if lives else (404, {"status": "unknown_sandbox", "message": "gone"})
            case "DELETE", ["sandboxes", name]:
                return self._end(name)
        return self._command(asked)

    def _command(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        match asked.method, asked.path.split("/")[2:]:
            case _, ["pools", *parts]:
                return self._pools(parts, asked.body)
            case "PUT", ["say"]:
                return self._say(asked.body)
            case "POST", ["selftest"]:
                return self._selftest()
            case "POST", ["abandon"]:
                return self._abandon(set(asked.body["attempts"]))
            case "PUT", ["state"] if self.accepts_state:
                self.fleet_state, self.generation = asked.body["state"], asked.body["generation"]
                return 200, {"state": self.fleet_state, "generation": self.generation}
        return self._contents(asked)

    def _contents(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        match asked.method, asked.path.split("/")[2:]:
            case "POST", ["sandboxes", name, "content"]:
                return self._fill(name, asked.body["ticket"])
            case _, ["blobs"]:
                blobs = [{"digest": digest, "bytes": 10, "copied_bytes": 10} for digest in sorted(self.blobs)]
                return 200, {"works": not self.refuses_blobs, "homes": self.homes, "blobs": blobs}
            case "PUT", ["blobs", digest]:
                return self._take(digest, asked.raw)
        return 500, {"status": "internal_error", "message": "no"}

    def _take(self, digest: str, blob: bytes) -> tuple[int, dict[str, Any]]:
        if self.refuses_blobs:
            return 507, {"status": "no_room", "message": self.refuses_blobs}
        if hashlib.sha256(blob).hexdigest() != digest:
            return 400, {"status": "bad_blob", "message": "another hash"}
        self.blobs.add(digest)
        return 201, {"digest": digest}

    def _fill(self, name: str, ticket: str) -> tuple[int, dict[str, Any]]:
        ticket = ticket or next((each for each, key in self.claims.items() if key.startswith(name)), "")
        if ticket not in self.claims or not self.claims[ticket].startswith(name):
            return 404, {"status": "unknown_sandbox", "message": "gone"}
        if self.fill_states:
            return 200, self.fill_states.pop(0)
        wished = self.wished.get(ticket, "")
        if wished and wished not in self.blobs:
            return 200, {"state": "missing", "message": ""}
        self.filled.append(ticket)
        return 200, {"state": "done", "message": ""}

    def _abandon(self, attempts: set[str]) -> tuple[int, dict[str, Any]]:
        self.abandoned |= attempts
        given_up = [ticket for ticket in self.claims if self.attempts.get(ticket) in attempts]
        for ticket in given_up:
            del self.claims[ticket]
            self.claimed -= 1
            self.ready += 1
        return 200, {"released": len(given_up)}

    def _pools(self, parts: list[str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "content" in body:
            if body["content"] and body["content"] not in self.blobs:
                return 409, {"status": "missing_blob", "message": "not here"}
            self.contents[parts[0]] = body["content"]
            return 200, {"name": parts[0], "content": body["content"]}
        if parts == ["default"]:
            self.image, self.capacity = body.get("image", self.image), body.get("capacity", self.capacity)
            return 200, {"name": "default", "image": self.image, "capacity": self.capacity}
        answers = self.fetches.get(body["image"], [])
        if not answers:
            return 404, {"status": "not_found", "message": "there is no such call"}
        return 200, answers.pop(0) if len(answers) > 1 else answers[0]

    def _selftest(self) -> tuple[int, dict[str, Any]]:
        if self.image in self.bad_images:
            return 503, {"status": "selftest_failed", "message": "the kernel never answered"}
        return 200, {"status": "passed", "message": "a cell ran", "start_seconds": 1.5}

    def _say(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not self.accepts_say:
            return 404, {"status": "not_found", "message": "nothing here"}
        self.said = body["text"]
        return 200, body

    def _end(self, name: str) -> tuple[int, dict[str, Any]]:
        for ticket, sandbox in list(self.claims.items()):
            if sandbox == name:
                del self.claims[ticket]
                self.claimed -= 1
                return 200, {"ended": name}
        return 404, {"status": "unknown_sandbox", "message": "gone"}

    def _authorized(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") in (f"token {self.token}", f"Bearer {self.token}")
