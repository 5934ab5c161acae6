"""Very many clients of event streams in a process of their own, so that they take no time from whoever measures.

It prints `open` when all of them wait, and closes them when its input ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

AT_ONCE = 50


@contextmanager
def stream_crowd(url: str, count: int) -> Iterator[None]:
    """So many open streams, each with its first event heard, as long as the block lasts."""
    crowd = subprocess.Popen(
        [sys.executable, "-m", "tests.support.stream_crowd", url, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    try:
        assert crowd.stdout.readline().strip() == "open"
        yield
    finally:
        crowd.stdin.close()
        crowd.wait(30)
        crowd.stdout.close()


async def _open(url: str, turns: asyncio.Semaphore) -> asyncio.StreamWriter:
    parts = urlsplit(url)
    async with turns:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
            "X-Forwarded-For: 127.0.0.1\r\n\r\n".encode()
        )
        await reader.readuntil(b"data: ")
    asyncio.get_running_loop().create_task(_read(reader))
    return writer


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _crowd(url: str, count: int) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    writers = await asyncio.gather(*(_open(url, turns) for _ in range(count)))
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for writer in writers:
        writer.close()


if __name__ == "__main__":
    asyncio.run(_crowd(sys.argv[1], int(sys.argv[2])))
