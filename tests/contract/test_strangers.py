"""Whatever a stranger answers, a client of ours makes an answer or a refusal of it: in bounded memory, and in time.

Strangers are all at the other end: sandboxes for the agent, nodes for the redirector, whatever stands at the entry URL
for operators' tools and for nodes that join.
"""

from __future__ import annotations

import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent import unix_http
from node_agent.cli import local_client
from node_agent.cli.local_client import LocalAgent
from node_agent.directories import SOCKET_NAME
from node_agent.errors import AgentError
from node_agent.jupyter import client as jupyter_client
from node_agent.jupyter import kernel_session
from node_agent.jupyter.client import activity, landing_problem
from node_agent.lifecycle import check_server
from node_agent.membership import joining
from node_agent.runtimes.contract import Launch
from redirector.admin_api import calls as admin_calls
from redirector.admin_api import client as admin_client
from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError
from redirector.node_client import calls, pools, sessions, stats
from redirector.node_client.client import AgentClient
from redirector.node_client.http import BoundedHttp
from tests.redirector.cli.fake_redirector import node as admin_node
from tests.support.fleet_values import a_node
from tests.support.strangers import (
    FLOODS,
    HEAD,
    HEADERS,
    STATUS_LINES,
    VALUES,
    Say,
    Stranger,
    always,
    endless,
    flood,
    mutated,
    whole,
)
from tmpnb_common.bounded_reading import HEAD_BYTES
from tmpnb_common.claims import ClaimRequest

pytestmark = pytest.mark.slow

BASE = "/user/abc/"
EACH = 150
"""Mutated answers for every client."""

SECONDS = 5.0
"""For one exchange: all of these strangers hang up long before, and the test would notice one that does not."""


Ask = Callable[[Stranger, Path, float], object]
"""Ask a stranger at a port, or the one at a path, with so many seconds for it."""


@dataclass(frozen=True)
class Client:
    """How one client asks, what it would like to hear, and the longest body, in bytes, that it reads."""

    ask: Ask
    bodies: tuple[Any, ...]
    limit: int
    unix: bool = False


@cache
def node_client(seconds: float) -> AgentClient:
    """One for all: loading the authorities' certificates takes longer than most exchanges."""
    return AgentClient(BoundedHttp("tests"), poll_seconds=seconds, claim_seconds=seconds, control_seconds=seconds)


def asks_node(method: Callable[[AgentClient, Any], object]) -> Ask:
    def ask(stranger: Stranger, _path: Path, seconds: float) -> object:
        return method(node_client(seconds), a_node(url=stranger.url, token="a-token", generation=3))

    return ask


def asks_redirector(method: Callable[[AdminClient], object]) -> Ask:
    def ask(stranger: Stranger, _path: Path, seconds: float) -> object:
        with suppress(AdminError):
            return method(AdminClient(stranger.url, "a-token", answer_seconds=seconds))
        return None

    return ask


def leaves(stranger: Stranger, _path: Path, _seconds: float) -> object:
    stop = threading.Event()
    stop.set()
    joining.Membership(stranger.url, "http://n", "", "join-token", "node-token").leave(stop)
    return None


def joins(stranger: Stranger, _path: Path, _seconds: float) -> object:
    """One try: a node that was told to end does not wait for the next."""
    joining.Membership(stranger.url, "http://n", "", "join-token", "node-token").join(cast("Any", _OneTry()))
    return None


class _OneTry:
    """A stop request that comes once the first answer was heard."""

    def __init__(self) -> None:
        self._tries = 0

    def wait(self, _seconds: float) -> bool:
        self._tries += 1
        return self._tries > 1


def checks_server(finding: Callable[[Launch, str], object], landing: str) -> Ask:
    """A read of check-image, of the server in a sandbox that is tried."""

    def ask(_stranger: Stranger, path: Path, _seconds: float) -> object:
        return finding(Launch("a", "a" * 26, "default", "i", path.parent, "", landing), landing)

    return ask


def asks_agent(_stranger: Stranger, path: Path, _seconds: float) -> object:
    with suppress(AgentError):
        return LocalAgent(path, "a-token").get("/stats")
    return None


def runs_code(_stranger: Stranger, path: Path, seconds: float) -> object:
    with suppress(kernel_session.KernelError):
        return kernel_session.run(path, BASE, "1", within=seconds)
    return None


STATS = {
    "available": 1,
    "capacity": 2,
    "version": "1",
    "protocol": 1,
    "node_id": "a",
    "boot_id": "b",
    "state": "active",
    "pools": {"default": {"available": 1, "capacity": 2, "image": "i"}},
}
CLAIM = {"url": "/user/a/lab", "name": "a", "available": 3}
REFUSED = {"status": "full", "message": "no room"}
REQUESTS = [ClaimRequest("a" * 24, "/lab?a=b"), ClaimRequest("b" * 24)]

CLIENTS: dict[str, Client] = {
    "the poller": Client(asks_node(lambda client, row: client.stats(row.address)), (STATS, REFUSED), stats.STATS_LIMIT),
    "a claim": Client(
        asks_node(lambda client, row: client.claim(row, "default", REQUESTS)),
        ({"claims": [CLAIM, REFUSED], "available": 3}, REFUSED),
        calls.ANSWER_LIMIT,
    ),
    "a claim at an original tmpnb": Client(
        asks_node(lambda client, row: client.claim_plainly(row, "/lab?a=b")), (CLAIM,), calls.ANSWER_LIMIT
    ),
    "an intent": Client(
        asks_node(lambda client, row: client.put_state(row)), ({"state": "active"},), calls.ANSWER_LIMIT
    ),
    "the end of sessions": Client(
        asks_node(lambda client, row: client.sessions(row)),
        ({"sandboxes": [{"name": "a", "state": "claimed"}]},),
        sessions.SANDBOXES_LIMIT,
    ),
    "a selftest": Client(
        asks_node(lambda client, row: client.selftest(row, "")),
        ({"status": "ok", "message": "well"},),
        calls.ANSWER_LIMIT,
    ),
    "a node's metrics": Client(
        asks_node(lambda client, row: client.metrics(row)), ("# TYPE a gauge\na 1\n",), stats.METRICS_LIMIT
    ),
    "an operator's list": Client(
        asks_redirector(lambda client: client.nodes()), ({"nodes": [admin_node("n1")]},), admin_calls.BODY_LIMIT
    ),
    "an operator's order": Client(
        asks_redirector(lambda client: client.drain("n1")),
        ({"changed": True, "node": admin_node("n1")}, REFUSED),
        admin_calls.BODY_LIMIT,
    ),
    "a node that leaves": Client(leaves, ({"left": True}, REFUSED), joining.ANSWER_LIMIT),
    "a node that joins": Client(joins, ({"name": "n1"}, REFUSED), joining.ANSWER_LIMIT),
    "check-image: base URL": Client(
        checks_server(check_server.base_url_finding, "/lab"), ({"version": "2.14"},), unix_http.MAX_BODY, unix=True
    ),
    "check-image: landing page": Client(
        checks_server(check_server.landing_finding, "/lab/tree/a.ipynb"), ("<html>",), unix_http.MAX_BODY, unix=True
    ),
    "a check of a sandbox": Client(
        lambda _, path, __: activity(path, BASE),
        ([{"execution_state": "busy", "last_activity": "2026-01-01T00:00:00Z"}], []),
        jupyter_client.LIST_LIMIT,
        unix=True,
    ),
    "a landing page": Client(
        lambda _, path, __: landing_problem(path, BASE, "/lab"), ("<html>",), unix_http.MAX_BODY, unix=True
    ),
    "a trial's kernel": Client(runs_code, ({"id": "abc"},), unix_http.MAX_BODY, unix=True),
    "the agent's own command": Client(asks_agent, (STATS, REFUSED), unix_http.MAX_BODY, unix=True),
}
SANDBOX = {
    "name": "abcdefgh",
    "state": "claimed",
    "pool": "default",
    "image": "i",
    "created_at": 1.0,
    "claimed_at": 2.0,
    "last_activity": 3.0,
    "busy": False,
    "ends_at": 4.0,
    "changed": True,
}
SESSION = {**SANDBOX, "node": "n1"}

CLIENTS |= {
    f"a node: {name}": Client(asks_node(ask), ({"status": "ok", "message": "well", **SANDBOX}, REFUSED), 64 * 1024)
    for name, ask in {
        "abandon": lambda client, row: client.abandon(row, ["a"]),
        "lives": lambda client, row: client.lives(row, "a"),
        "token": lambda client, row: client.token_works(row.address, "a-token"),
        "end session": lambda client, row: client.end_session(row, "a"),
        "end sandbox": lambda client, row: client.end_sandbox(row, "a"),
        "say": lambda client, row: client.say(row, "hello", 5),
        "pool": lambda client, row: client.put_pool(row, "default", image="i"),
        "fetch": lambda client, row: client.fetch_image(row, "default", "i"),
    }.items()
}
CLIENTS["a node: sessions"] = Client(
    asks_node(lambda client, row: client.session_list(row)), ({"sandboxes": [SANDBOX]},), 4 << 20
)
CLIENTS |= {
    f"an operator: {name}": Client(asks_redirector(ask), (body, REFUSED), admin_calls.BODY_LIMIT)
    for name, ask, body in (
        ("fleet", lambda client: client.fleet(), {"nodes": [], "alarms": ["a"], "available": 1, "capacity": 2}),
        ("events", lambda client: client.events(), {"events": [{"id": 1, "at": 1.0, "kind": "drain", "node": "a"}]}),
        ("place", lambda client: client.place(), {"node": "n1", "reason": "", "nodes": []}),
        ("image", lambda client: client.put_image("n1", "default", "i"), {"changed": True, "image_before": "j"}),
        ("size", lambda client: client.resize("n1", "default", capacity=2), {"changed": True, "capacity_before": 1}),
        ("sessions", lambda client: client.sessions(), {"sessions": [SESSION], "unanswered": []}),
        ("end session", lambda client: client.end_session("abcdefgh"), {"changed": True, "node": "n1"}),
        ("say", lambda client: client.say("hello"), {"nodes": ["n1"], "failed": {}}),
        ("fetch", lambda client: client.fetch_image("n1", "default", "i"), {"there": False, "done": 1, "total": 2}),
        ("selftest", lambda client: client.selftest("n1"), {"passed": True, "message": "well", "measured": {}}),
        ("healthy", lambda client: client.healthy(), {"status": "ok"}),
    )
}

EVERY = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
READERS = ["the poller", "an operator's list", "a node that leaves", "a check of a sandbox"]
"""One client of every kind of reading: the others of a kind differ only in what they make of the whole answer."""


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        yield Path(root) / SOCKET_NAME


@pytest.fixture(scope="module")
def at_path(path: Path) -> Iterator[Stranger]:
    with Stranger(path) as stranger:
        yield stranger


@pytest.fixture(scope="module")
def at_port() -> Iterator[Stranger]:
    with Stranger() as stranger:
        yield stranger


@dataclass(frozen=True)
class Strangers:
    """One at a port and one at a path, who say the same."""

    at_port: Stranger
    at_path: Stranger
    path: Path

    def say(self, say: Say) -> None:
        self.at_port.say = self.at_path.say = say

    def hear(self, client: Client, seconds: float = SECONDS) -> object:
        return client.ask(self.at_path if client.unix else self.at_port, self.path, seconds)


@pytest.fixture(scope="module")
def strangers(at_path: Stranger, at_port: Stranger, path: Path) -> Strangers:
    return Strangers(at_port, at_path, path)


@EVERY
def test_no_mutated_answer_raises_anything(client: Client, strangers: Strangers) -> None:
    for number, answer in enumerate(mutated(client.bodies, EACH, seed=20)):
        strangers.say(always(answer))
        try:
            strangers.hear(client)
        except Exception as error:  # noqa: BLE001  # that there is none is what is tested
            pytest.fail(f"answer {number}, {answer[:200]!r}: {error!r}")


ANSWERS = st.binary(max_size=200) | st.builds(
    lambda status, headers, body: whole(body, *headers, status=status),
    st.sampled_from(STATUS_LINES) | st.binary(max_size=30),
    st.lists(st.sampled_from(HEADERS) | st.binary(max_size=60), max_size=6),
    st.sampled_from(VALUES) | st.binary(max_size=40),
)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(answer=ANSWERS)
def test_no_answer_at_all_raises_anything(strangers: Strangers, answer: bytes) -> None:
    strangers.say(always(answer))
    for client in CLIENTS.values():
        strangers.hear(client)


@pytest.mark.parametrize("name", READERS)
def test_no_flood_takes_more_memory_than_its_bound(
    name: str, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_calls, "BODY_LIMIT", 1 << 20)
    client = CLIENTS[name]
    size = min(client.limit, 1 << 20) + HEAD_BYTES
    strangers.hear(client)  # what is loaded at the first use is not the flood's
    for kind, (start, again) in FLOODS.items():
        strangers.say(endless(start, again, 4 * size + (8 << 20)))
        tracemalloc.start()
        try:
            strangers.hear(client)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # What was read, once more while its pieces are put together, and what the client and this test hold otherwise.
        assert peak < 2 * size + (1 << 20), kind


@pytest.mark.parametrize(
    "frames",
    [b"\x81\x01a", b"\x89\x00", b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x01\x01a", b"\xff\xff\xff", b""],
    ids=["messages", "pings", "a huge frame", "fragments", "no frames", "headers"],
)
def test_a_flood_over_a_kernels_websocket_is_a_failed_trial(at_path: Stranger, path: Path, frames: bytes) -> None:
    def say(request: bytes) -> Iterator[bytes]:
        if b"/channels" not in request:
            return iter([whole(b'{"id": "abc"}', status=b"HTTP/1.1 201 Created")])
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        return flood(switch + (b"\r\n" if frames else b""), frames or b"A: b\r\n", 8 << 20)

    at_path.say = say
    with pytest.raises(kernel_session.KernelError):
        kernel_session.run(path, BASE, "1", within=SECONDS)


def test_a_kernels_websocket_follows_no_redirect(at_path: Stranger, at_port: Stranger, path: Path) -> None:
    led: list[bytes] = []

    def say(request: bytes) -> list[bytes]:
        if b"/channels" not in request:
            return [whole(b'{"id": "abc"}', status=b"HTTP/1.1 201 Created")]
        return [whole(b"", b"Location: " + at_port.url.replace("http", "ws").encode(), status=b"HTTP/1.1 302 Found")]

    def elsewhere(request: bytes) -> list[bytes]:
        led.append(request)
        return []

    at_path.say, at_port.say = say, elsewhere
    with pytest.raises(kernel_session.KernelError):
        kernel_session.run(path, BASE, "1", within=SECONDS)
    assert led == []


DRIPS = {
    "headers": (HEAD, b"A: b\r\n"),
    "a body": (HEAD + b"\r\n", b" "),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@EVERY
def test_no_drip_outlasts_the_deadline(client: Client, strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (
        (joining, "CALL_SECONDS"),
        (admin_calls, "CONNECT_SECONDS"),
        (admin_client, "SELFTEST_SECONDS"),
        (pools, "SELFTEST_SECONDS"),
        (check_server, "ANSWER_SECONDS"),
        (jupyter_client, "LANDING_SECONDS"),
        (jupyter_client, "STATUS_SECONDS"),
        (local_client, "SECONDS"),
        (kernel_session, "STOP_SECONDS"),
    ):
        monkeypatch.setattr(place, name, 0.05)
    kinds = DRIPS.values() if client in [CLIENTS[name] for name in READERS] else [DRIPS["a body"]]
    for start, again in kinds:
        dripping = threading.Event()
        strangers.say(slowly(start, again, dripping))
        try:
            strangers.hear(client, 0.05)
        finally:
            dripping.set()


def slowly(start: bytes, again: bytes, until: threading.Event) -> Say:
    """Such that no wait for the next byte is long, and without an end."""

    def say(_request: bytes) -> Iterator[bytes]:
        yield start
        while not until.wait(0.01):
            yield again

    return say
