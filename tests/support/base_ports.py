"""Ports for programs that the tests start: each process that runs tests draws from a range of its own."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Where the kernel does not take ports for outgoing connections, which would come and go."""

PROCESSES = 4
"""At most so many run tests side by side."""


def own_ports() -> range:
    """The ports of this process; `pytest -n` numbers its workers gw0, gw1 and so on."""
    share = len(BELOW_EPHEMERAL) // PROCESSES
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    assert number < PROCESSES, f"more than {PROCESSES} processes"
    return BELOW_EPHEMERAL[number * share : (number + 1) * share]


def base_port(nodes: int = 2) -> int:
    """A port for `tmpnb up` that is free with the next one and those of so many nodes, from 101 further on."""
    candidates = own_ports()[: -101 - nodes]
    while True:
        port = random.choice(candidates)
        if all(_is_free(needed) for needed in (port, port + 1, *range(port + 101, port + 101 + nodes))):
            return port


def free_ports(count: int) -> list[int]:
    """So many ports that nothing listens on, and that were not given out before."""
    return [next(_PORTS) for _ in range(count)]


def _in_turn() -> Iterator[int]:
    """Long before a port comes round again, whoever had it has ended."""
    ports = own_ports()
    while True:
        at = random.randrange(len(ports))
        yield from (port for port in (*ports[at:], *ports[:at]) if _is_free(port))


_PORTS = _in_turn()


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
