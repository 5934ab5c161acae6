"""Tests of the sockets that a service manager hands over."""

from __future__ import annotations

import socket

import pytest

from node_agent.proxy.listeners import Listeners, handed_over


def test_sockets_are_handed_over_as_systemd_does() -> None:
    assert handed_over({"LISTEN_PID": "7", "LISTEN_FDS": "2"}, 7) == Listeners((3, 4))


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "2"},
        {"LISTEN_PID": "8", "LISTEN_FDS": "2"},
        {"LISTEN_PID": "7"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "two"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "-1"},
    ],
)
def test_sockets_of_another_process_are_not_taken(environment: dict[str, str]) -> None:
    assert handed_over(environment, 7) == Listeners()


def test_nginx_is_told_of_the_sockets_as_of_those_of_the_nginx_before_it() -> None:
    assert Listeners((3, 4)).environment() == {"NGINX": "3;4;"}
    assert Listeners().environment() == {}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_socket_is_known_by_its_address(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listening, socket.socket(socket.AF_UNIX) as nothing:
        port = listening.getsockname()[1]
        listeners = Listeners((nothing.fileno(), listening.fileno(), 1_000_000))
        assert listeners.include(host, port)
        assert not listeners.include(host, port + 1)
        assert listening.fileno() >= 0
        with socket.create_connection((host, port), timeout=5):
            pass
