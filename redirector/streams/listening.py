"""The socket at which event streams are asked for: a UNIX socket or a TCP address."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from redirector.errors import FleetConfigError

UNIX = "unix:"

BACKLOG = 2048
"""Clients that may wait in the kernel while the process is started again."""


def listen(address: str) -> socket.socket:
    """Listen at `unix:/path`, or at `host:port`; what an earlier process left there is replaced.

    Anybody on this host may connect to a UNIX socket: its directory says who comes to it.

    Raises:
        FleetConfigError: it cannot be.
    """
    path = address.removeprefix(UNIX)
    try:
        if path == address:
            host, _, port = address.rpartition(":")
            return socket.create_server(
                (host.strip("[]"), int(port)),
                family=socket.AF_INET6 if host.startswith("[") else socket.AF_INET,
                backlog=BACKLOG,
            )
        with suppress(FileNotFoundError):
            Path(path).unlink()
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(path)
            os.chmod(path, 0o666)  # noqa: PTH101, S103 - as the docstring says
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise FleetConfigError([f"TMPNB_STREAMS_LISTEN: cannot listen at {address}: {error.strerror}"]) from error
    return listener
