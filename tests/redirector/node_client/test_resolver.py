"""Host names into addresses, with a name server that does what the test wants."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from redirector.model.nodes import Failure, FailureKind
from redirector.node_client import http as bounded_http
from redirector.node_client.client import AgentClient
from redirector.node_client.resolver import NameLookup, resolve
from tests.support.fleet_nodes import FakeNodes
from tests.support.waiting import wait_until
from tmpnb_common.wire import NodeStats


class NameServer:
    """Answers, or hangs while it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Sequence[str] = ["127.0.0.1"]
        self.error: OSError | None = None
        self.answers = Event()
        self.answers.set()

    def ask(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        assert self.answers.wait(20)
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.answers.set()


def test_an_address_needs_no_lookup(server: NameServer) -> None:
    names = NameLookup(server.ask)
    assert [*names.addresses("127.0.0.1", 1), *names.addresses("[::1]", 1)] == ["127.0.0.1", "[::1]"]
    assert server.asked == []


def test_a_name_is_looked_up_anew_each_time_so_that_a_change_is_noticed(server: NameServer) -> None:
    names = NameLookup(server.ask)
    assert names.addresses("n1.example.org", 1) == ["127.0.0.1"]
    server.answer = ["127.0.0.2"]
    wait_until(lambda: names.addresses("n1.example.org", 1) == ["127.0.0.2"], 5)


def test_while_the_name_server_hangs_what_was_known_last_still_holds(server: NameServer) -> None:
    names = NameLookup(server.ask)
    names.addresses("n1.example.org", 1)
    server.answers.clear()
    assert names.addresses("n1.example.org", 5) == ["127.0.0.1"]


def test_a_name_that_was_never_known_is_waited_for_no_longer_than_asked(server: NameServer) -> None:
    names = NameLookup(server.ask)
    server.answers.clear()
    with pytest.raises(TimeoutError):
        names.addresses("n1.example.org", 0.05)


def test_many_who_ask_for_one_name_are_one_lookup(server: NameServer) -> None:
    names = NameLookup(server.ask)
    server.answers.clear()
    with ThreadPoolExecutor(8) as many:
        found = [many.submit(names.addresses, "n1.example.org", 20) for _ in range(8)]
        wait_until(lambda: server.asked, 5)
        server.answers.set()
        assert {tuple(each.result()) for each in found} == {("127.0.0.1",)}
    assert len(server.asked) <= 8
    assert names._under_way == {}


def test_a_name_that_means_nothing_is_said_to(server: NameServer) -> None:
    names = NameLookup(server.ask)
    server.error = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(socket.gaierror):
        names.addresses("nowhere.invalid", 1)


def test_what_is_no_host_name_is_no_crash() -> None:
    with pytest.raises(OSError):
        NameLookup(resolve).addresses("a" * 300, 5)


def test_the_system_knows_itself() -> None:
    assert set(resolve("localhost")) & {"127.0.0.1", "::1"}


def test_a_node_whose_name_server_hangs_costs_no_more_than_a_node_that_hangs(
    nodes: FakeNodes, client: AgentClient, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "NAMES", NameLookup(server.ask))
    node = nodes.add("n1")
    server.answers.clear()
    found = client.stats(f"http://n1.example.org:{node.port}")
    assert found == Failure(FailureKind.TIMEOUT, "no answer within 0.5 s")


def test_the_next_address_of_a_name_is_tried_when_the_first_refuses(
    nodes: FakeNodes, client: AgentClient, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "NAMES", NameLookup(server.ask))
    node = nodes.add("n1")
    server.answer = ["127.0.0.9", "127.0.0.1"]
    assert not isinstance(client.stats(f"http://n1.example.org:{node.port}"), Failure)


def test_a_name_that_moves_is_followed_though_the_old_machine_lives_on(
    nodes: FakeNodes, client: AgentClient, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "NAMES", NameLookup(server.ask))
    old = nodes.add("old")
    url = f"http://n1.example.org:{old.port}"
    for _ in range(3):
        assert isinstance(client.stats(url), NodeStats)
    assert len(server.asked) == 1, "its connection is kept open"
    server.answer = ["127.0.0.9"]
    assert isinstance(client.stats(url), NodeStats)
    assert bounded_http.CONNECTION_SECONDS < 60
    monkeypatch.setattr(bounded_http, "CONNECTION_SECONDS", 0.0)
    assert client.stats(url) == Failure(FailureKind.REFUSED, "connection refused")
