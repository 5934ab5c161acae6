"""For how long a restart of a node's proxy takes the node away, while somebody's notebook is open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.bench.report import Table, milliseconds, percentile
from tests.support.live_fleet import BIN
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Front, run_nginx
from tests.support.waiting import wait_until

ROUNDS = 10
EVERY_SECONDS = 0.01
"""How often a visitor knocks."""

HANDS_OVER = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"  # noqa: E501 - one program
"""What systemd does before it starts a service with a socket unit."""


def run() -> Table:
    return Table(
        "A node's proxy is restarted while a websocket is open: TERM, then the next one starts",
        ["", "refused for", "slowest", "longest wait of a visitor"],
        [
            ["it listens by itself (compose, `tmpnb up`)", *_restarts(held=False)],
            ["a socket unit holds the address (systemd)", *_restarts(held=True)],
        ],
        "Under compose the engine's own time to replace a container comes on top.",
    )


def _restarts(*, held: bool) -> list[str]:
    away, waits = [], []
    with _front() as front, socket.socket() as listening:
        if held:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", front.port))
            listening.listen(512)
        descriptor = listening.fileno() if held else None
        proxy = _start(front, descriptor)
        try:
            for _ in range(ROUNDS):
                wait_until(lambda: _knock(front.port) is not None, 20)
                with _notebook(front), _Visitors(front.port) as visitors:
                    proxy.terminate()
                    proxy.wait(20)
                    proxy = _start(front, descriptor)
                    wait_until(lambda: _knock(front.port) is not None, 20)
                away.append(visitors.away)
                waits.append(visitors.longest)
        finally:
            proxy.terminate()
            proxy.wait(20)
    return [milliseconds(away), f"{percentile(away, 100) * 1000:.0f} ms", f"{percentile(waits, 100) * 1000:.0f} ms"]


@contextmanager
def _front() -> Iterator[Front]:
    """A run directory with an agent and a sandbox; nginx itself is what the benchmark starts."""
    with run_nginx(serve=False) as front:
        front.agent(lambda request: request.answer(200, b"{}"))
        front.sandbox(KEY, _websocket)
        yield front


def _start(front: Front, listening: int | None) -> subprocess.Popen[bytes]:
    argv = [str(BIN / "tmpnb-agent"), "proxy"]
    if listening is not None:
        argv = [sys.executable, "-c", HANDS_OVER, str(listening), *argv]
    with (front.run_dir / "proxy.log").open("ab") as log:
        return subprocess.Popen(
            argv,
            env={**os.environ, **front.settings},
            stdout=log,
            stderr=log,
            pass_fds=() if listening is None else (listening,),
        )


def _websocket(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    request.wfile.flush()
    request.rfile.read(1)
    request.close_connection = True


@contextmanager
def _notebook(front: Front) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as browser:
        browser.sendall(
            f"GET /user/{KEY}/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
        )
        assert b" 101 " in browser.recv(200)
        yield


def _knock(port: int) -> float | None:
    """Seconds until the node's `/stats` was there; none when it was not."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET /stats HTTP/1.0\r\n\r\n")
            answered = connection.recv(200).startswith(b"HTTP/1.1 200")
    except OSError:
        return None
    return time.monotonic() - began if answered else None


class _Visitors:
    """Knocks until the end, and knows for how long nobody was let in."""

    def __init__(self, port: int) -> None:
        self.away = self.longest = 0.0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        refused_since: float | None = None
        while not self._stop.wait(EVERY_SECONDS):
            began = time.monotonic()
            waited = _knock(self._port)
            if waited is None:
                refused_since = refused_since or began
                continue
            self.longest = max(self.longest, waited)
            if refused_since is not None:
                self.away += began - refused_since
                refused_since = None
