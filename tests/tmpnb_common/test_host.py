from __future__ import annotations

import errno
import socket

from tmpnb_common.host import port_problem


def test_a_port_is_free_taken_or_not_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port_problem("127.0.0.1", port) == errno.EADDRINUSE
    assert port_problem("127.0.0.1", port) == 0
    assert port_problem("no-such-host.invalid", port) == errno.EADDRNOTAVAIL
