"""The redirector as it is run: gunicorn, several workers, signals; over fake nodes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.crowd import visit_all
from tests.support.fleet_nodes import FakeNodes
from tests.support.served import TOKEN, Served
from tests.support.waiting import wait_until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "state")
    try:
        served.wait_until_up()
        yield served
    finally:
        served.stop()


def test_it_serves_and_stops_without_leaving_a_process(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=3)
    assert served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token}).status_code == 201
    served.wait_until_known(3)
    answer = served.get("/lab")
    assert answer is not None
    assert answer.status_code == 302
    workers = served.workers()
    assert len(workers) == 2
    assert served.stop() == 0
    assert not [worker for worker in workers if worker.is_running()]


def test_no_request_gets_a_line_with_its_address_or_query_in_it(served: Served) -> None:
    assert served.get("/nope-on-purpose?q=asked-on-purpose") is not None
    assert served.stop() == 0
    assert "on-purpose" not in served.log.read_text()


MALFORMED = [
    b"GET /wait/on-purpose?on-purpose",
    b"GET /wait/on-purpose on-purpose HTTP/1.1",
    b"GET /wait/on-purpose HTTP/9.9",
    b"get /wait/on-purpose HTTP/1.1",
    b"ON-PURPOSE: on-purpose",
    b"GET / HTTP/1.1\r\non-purpose",
    b"GET / HTTP/1.1\r\non purpose: /wait/on-purpose",
]


def test_malformed_requests_get_lines_without_what_they_hold(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").rpartition(":")
    for line in MALFORMED:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(line + b"\r\n\r\n")
            assert b" 400 " in connection.recv(4096), line
    assert served.stop() == 0
    log = served.log.read_text()
    assert log.count("Invalid request from") == len(MALFORMED)
    assert "purpose" not in log.lower()


def test_a_killed_poller_is_followed_by_another_worker(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=3)
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.wait_until_known(3)
    holder = served.poller()
    os.kill(int(holder.split(":")[-2]), signal.SIGKILL)
    wait_until(lambda: served.poller() != holder, 10, "another poller")
    node.ready = 1
    wait_until(lambda: served.available() == 1, 10, "fresh stats")


def test_a_graceful_restart_loses_no_visitor(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=200, capacity=200)
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.wait_until_known(200)
    before = {worker.pid for worker in served.workers()}
    served.process.send_signal(signal.SIGHUP)
    statuses = []

    def replaced() -> bool:
        answer = served.get("/lab")
        statuses.append(answer.status_code if answer is not None else 0)
        return not before & {worker.pid for worker in served.workers()}

    wait_until(replaced, 30, "new workers")
    assert set(statuses) == {302}


def test_a_graceful_restart_in_the_middle_of_a_crowd_loses_no_visitor(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=200, capacity=200, claim_seconds=0.05)
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.wait_until_known(200)
    before = {worker.pid for worker in served.workers()}
    with ThreadPoolExecutor(1) as executor:
        crowd = executor.submit(visit_all, [f"{served.url}/"], count=100, over=4.0)
        wait_until(lambda: len(node.spawns()) > 20, 20, "the crowd")
        served.process.send_signal(signal.SIGHUP)
        visits = crowd.result()
    assert [visit for visit in visits if not visit.straight_in] == []
    wait_until(lambda: not before & {worker.pid for worker in served.workers()}, 30, "new workers")


def test_who_is_being_placed_when_it_is_told_to_end_gets_their_sandbox(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=9, capacity=9, claim_seconds=1.0)
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.wait_until_known(9)
    with socket.create_connection(("127.0.0.1", served.port)), ThreadPoolExecutor(3) as visitors:
        # One connection is open and says nothing; three visitors wait for the node.
        visits = [visitors.submit(served.get, "/lab") for _ in range(3)]
        wait_until(node.spawns, 10, "claims under way")
        # Visitors share calls, so the node cannot tell how many have come; the sockets that workers took can.
        wait_until(lambda: served.connections() == 4, 10, "all of them in a worker")
        ended = served.stop()
        answers = [visit.result() for visit in visits]
    assert ended == 0
    assert [answer.status_code if answer is not None else 0 for answer in answers] == [302, 302, 302]


def test_an_endless_request_line_is_refused_and_others_are_served(served: Served) -> None:
    answer = served.get("/lab/" + "a" * 20_000)
    assert answer is None or answer.status_code in (400, 414)
    assert served.get("/healthz") is not None


def test_no_token_is_in_its_log(nodes: FakeNodes, served: Served) -> None:
    node = nodes.add("n1", ready=1)
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": "another-token-that-is-wrong"})
    served.wait_until_known(1)
    served.get("/user/some-stale-key/lab")
    served.get("/lab")
    served.stop()
    log = served.log.read_text()
    assert "n1" in log
    for secret in (TOKEN, node.token, "another-token-that-is-wrong", "some-stale-key", *node.claims.values()):
        assert secret not in log


@pytest.mark.parametrize(
    ("environ", "status", "words"),
    [
        ({"TMPNB_WORKERS": "none", "TMPNB_THREADS": "x"}, 2, "TMPNB_WORKERS"),
        ({"TMPNB_WORKER": "2", "TMPNB_THREADS": "x"}, 2, "TMPNB_WORKER is no setting; did you mean TMPNB_WORKERS?"),
        ({"TMPNB_DATABASE_URL": "sqlite:////proc/no/fleet.db"}, 1, "cannot use"),
    ],
)
def test_what_cannot_start_says_so_in_one_sentence(
    tmp_path: Path, environ: dict[str, str], status: int, words: str
) -> None:
    served = Served(tmp_path / "state", **environ)
    assert served.process.wait(20) == status
    assert words in served.log.read_text()
    assert "Traceback" not in served.log.read_text()
