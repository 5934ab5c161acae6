"""Visitors, many at a time: each opens the entry URL and does as it is told until it has a sandbox."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Visit:
    """How it went for one visitor."""

    sandbox: str
    """Where they ended up; empty if nowhere."""
    seconds: float
    answers: tuple[int, ...]
    """Status codes, in order; 0 where the connection broke."""

    @property
    def straight_in(self) -> bool:
        """With the first answer, and no waiting room."""
        return bool(self.sandbox) and len(self.answers) == 1


def visit_all(urls: Sequence[str], *, count: int, over: float, patience: float = PATIENCE_SECONDS) -> list[Visit]:
    """So many visitors, evenly over so many seconds, taking the entry URLs in turn."""

    async def run() -> list[Visit]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_come(urls[number % len(urls)], number * over / count, patience))
                for number in range(count)
            ]
        return [task.result() for task in tasks]

    return asyncio.run(run())


async def _come(entry: str, after: float, patience: float) -> Visit:
    await asyncio.sleep(after)
    began = time.monotonic()
    answers: list[int] = []
    url, cookie, pause = entry, "", 0.0
    while time.monotonic() - began < patience:
        await asyncio.sleep(pause)
        status, headers = await _get(url, cookie)
        answers.append(status)
        if set_cookie := headers.get("set-cookie"):
            cookie = set_cookie.partition(";")[0]
        target = urljoin(url, headers.get("location", ""))
        if status in (302, 303) and "/user/" in target:
            return Visit(target, time.monotonic() - began, tuple(answers))
        pause = 0.0 if status in (302, 303) else _told_to_wait(headers)
        url = target if status in (302, 303) else url
    return Visit("", time.monotonic() - began, tuple(answers))


def _told_to_wait(headers: dict[str, str]) -> float:
    told = re.match(r"[0-9.]+", headers.get("refresh", headers.get("retry-after", "")))
    return float(told.group()) if told else 1.0


async def _get(url: str, cookie: str) -> tuple[int, dict[str, str]]:
    """One request, one connection, as a newcomer's browser."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/html", "Connection: close"]
    lines += [f"Cookie: {cookie}"] if cookie else []
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return 0, {}
    status, *rest = head.split("\r\n")
    return int(status.split(" ")[1]), {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)
    }
