"""Ports for a fleet of `tmpnb up`: the redirector's, with the nodes' from 101 further on."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Where the kernel does not take ports for outgoing connections, which would come and go."""


def base_port(nodes: int = 2) -> int:
    """A port that is free together with those of so many nodes."""
    while True:
        port = random.choice(BELOW_EPHEMERAL)
        try:
            for needed in (port, *range(port + 101, port + 101 + nodes)):
                socket.create_server(("127.0.0.1", needed)).close()
        except OSError:
            continue
        return port
