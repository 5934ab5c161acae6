"""Runs fake nodes: real HTTP, many in one process, each on a port of its own.

Each can be told to hang, die, lie, restart, drain, or to answer garbage, without end, or byte by byte.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from tests.support.fleet_node import Asked, FakeNode, Mood
from tests.support.strangers import whole


class FakeNodes:
    """Runs nodes, all in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-nodes")
        self._servers: dict[int, asyncio.Server] = {}
        self._talks: dict[int, set[asyncio.Task[None]]] = {}
        self._thread.start()

    def start(self, node: FakeNode) -> FakeNode:
        """Let a node answer; on its old port if it had one."""
        asyncio.run_coroutine_threadsafe(self._start(node), self._loop).result(10)
        return node

    def add(self, name: str, **fields: Any) -> FakeNode:
        """Make a node and start it."""
        return self.start(FakeNode(name, **fields))

    def die(self, node: FakeNode) -> None:
        """Like SIGKILL: connections break, new ones are refused."""
        asyncio.run_coroutine_threadsafe(self._die(node.port), self._loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self, node: FakeNode) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._talks[node.port].add(task)
            task.add_done_callback(self._talks[node.port].discard)
            async with _closing(writer):
                while await _serve_one(node, reader, writer):
                    pass

        server = await asyncio.start_server(talk, "127.0.0.1", node.port, backlog=256)
        node.port = server.sockets[0].getsockname()[1]
        self._talks.setdefault(node.port, set())
        self._servers[node.port] = server

    async def _die(self, port: int) -> None:
        server = self._servers.pop(port)
        server.close()
        talks = list(self._talks[port])
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()

    async def _close(self) -> None:
        for port in list(self._servers):
            await self._die(port)


@contextmanager
def fake_nodes() -> Iterator[FakeNodes]:
    nodes = FakeNodes()
    try:
        yield nodes
    finally:
        nodes.close()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        # Cancelled is how a node dies here; asyncio would write a trace for every connection that it had.
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            yield
    finally:
        writer.close()


async def _serve_one(node: FakeNode, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; whether the connection goes on."""
    asked = await _read(reader)
    asked.path = asked.path.removeprefix(node.prefix) if asked.path.startswith(node.prefix) else "/outside"
    node.asked.append(asked)
    if asked.path == "/api/spawn" and node.claim_seconds:
        await asyncio.sleep(node.claim_seconds)
    mood = node.claim_mood if asked.path == "/api/spawn" and node.claim_mood != "well" else node.mood
    match mood:
        case "well":
            status, answer, more = node.answer(asked)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            await _send(writer, status, text.encode(), more)
        case "garbled":
            await _send(writer, 200, b"<html>welcome to nginx</html>", {})
        case "failing":
            await _send(writer, 500, b"{}", {})
        case "orphaned":
            await _send(writer, 503, b'{"status": "unavailable", "message": "the agent does not answer"}', {})
        case "fronted":
            await _send(writer, 502, b"<html>Bad Gateway</html>", {})
        case "odd":
            writer.write(whole(b"{}", b"Content-Type: multipart/x; boundary*=a; boundary*0=b"))
            await writer.drain()
            return False
        case "elsewhere":
            await _send(writer, 302, b"", {"Location": f"{node.elsewhere}{asked.path}"})
        case "mute" | "alien":
            writer.write(b"SSH-2.0-OpenSSH_9.9\r\n" if mood == "alien" else b"")
            await writer.drain()
            return False
        case _:
            await _never_end(mood, writer)
    return True


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = head.split("\r\n")
    method, path, _ = request.split(" ")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines if line)}
    sent = await reader.readexactly(int(headers.get("content-length", "0")))
    is_json = sent and headers.get("content-type", "") == "application/json"
    return Asked(method, path, headers, json.loads(sent) if is_json else None, sent)


async def _never_end(mood: Mood, writer: asyncio.StreamWriter) -> None:
    if mood == "hanging":
        await asyncio.Event().wait()
    writer.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if mood == "endless" else b""))
    while True:
        writer.write(b" " * 65536 if mood == "endless" else b"X-A: b\r\n")
        await writer.drain()
        await asyncio.sleep(0 if mood == "endless" else 0.05)


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
