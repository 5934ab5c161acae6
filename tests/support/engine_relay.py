"""A UNIX socket that passes the Docker Engine's API on, and answers some calls otherwise: an engine with a fault."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node_agent.runtimes.docker.engine import SOCKET
from tests.support.node_fakes import Request, UnixServer

HOP = ("content-length", "connection", "transfer-encoding")


class EngineRelay:
    """Override `refusal` or `changed` for the fault."""

    def __init__(self, engine: Path = SOCKET) -> None:
        self._engine = engine

    def refusal(self, _method: str, _path: str) -> tuple[int, str] | None:
        """The status and message to answer a call with; None: it is passed on."""
        return None

    def changed(self, _method: str, _path: str, body: Any) -> Any:
        """What becomes of the engine's answer in JSON."""
        return body

    def __call__(self, request: Request) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if refusal := self.refusal(request.command, request.path):
            kind = [("Content-Type", "application/json")]
            request.answer(refusal[0], json.dumps({"message": refusal[1]}).encode(), kind)
            return
        engine = _UnixConnection(self._engine)
        try:
            engine.request(request.command, request.path, body or None, _kept(request.headers.items()))
            answer = engine.getresponse()
            content = answer.read()
        finally:
            engine.close()
        if answer.getheader("Content-Type", "").startswith("application/json") and content:
            content = json.dumps(self.changed(request.command, request.path, json.loads(content))).encode()
        request.answer(answer.status, content, list(_kept(answer.getheaders()).items()))


def _kept(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in HOP}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@contextmanager
def relayed(relay: EngineRelay, place: Path) -> Iterator[Path]:
    """The relay at work, at a socket in `place`."""
    server = UnixServer(place / "engine.sock", relay)
    try:
        yield place / "engine.sock"
    finally:
        server.stop()
