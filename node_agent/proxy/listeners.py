"""The listening sockets that a service manager holds for nginx, so that a restart of the proxy refuses nobody."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_DESCRIPTOR = 3
"""The number of the first socket that is handed over, by systemd's protocol (sd_listen_fds(3))."""


@dataclass(frozen=True)
class Listeners:
    """Descriptors of sockets that listen already."""

    descriptors: tuple[int, ...] = ()

    def environment(self) -> dict[str, str]:
        """The variable by which nginx takes sockets over from the nginx before it; none without sockets.

        nginx keeps those whose address its configuration names, and closes the others in itself.
        """
        return {"NGINX": "".join(f"{each};" for each in self.descriptors)} if self.descriptors else {}

    def include(self, host: str, port: int) -> bool:
        """True if one of the sockets listens at this address."""
        return any(_address(each) == (host, port) for each in self.descriptors)


NO_LISTENERS = Listeners()
"""Where nginx listens by itself."""


def handed_over(environment: Mapping[str, str], pid: int) -> Listeners:
    """The sockets that systemd's socket unit, or another manager with its protocol, gave to this process.

    Args:
        environment: the process's own. LISTEN_PID there has to be `pid`: variables are inherited, sockets are not.
        pid: of this process.
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return NO_LISTENERS
    return Listeners(tuple(range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))))


def _address(descriptor: int) -> tuple[str, int] | None:
    """Host and port that a socket is bound to; None of what is no such socket."""
    try:
        # A copy: to close the object closes no descriptor of ours.
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            host, port = listening.getsockname()[:2]
    except (OSError, ValueError):
        return None
    return host, port
