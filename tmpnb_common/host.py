"""What a host has to offer before something is started on it: ports and nginx."""

from __future__ import annotations

import errno
import shutil
import socket

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian has nginx, and where an unprivileged user's PATH does not look."""


def find_nginx(path: str | None = None) -> str | None:
    """Return where nginx is, on a PATH (this process's own if none is named) or among administrators' programs."""
    return shutil.which("nginx", path=path) or shutil.which("nginx", path=SBIN)


def port_problem(host: str, port: int) -> int:
    """Return the error number that listening there ends with; 0 when nothing is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do: what is left of closed connections is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except socket.gaierror:
            return errno.EADDRNOTAVAIL
        except OSError as error:
            return error.errno or errno.EIO
    return 0
