"""The waiting room under a crowd: who goes in when, how long a freed slot is idle, what all the asking costs.

Real redirector workers and their database; fake nodes whose sessions end by themselves, which know to the millisecond
when a slot became ready and when it was claimed; visitors that behave as the page's script does.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.bench.report import Table, percentile
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry, live_entry

VISITORS, NODES, SLOTS_A_NODE = 500, 4, 5
ARRIVE_SECONDS = 10.0
SESSION_SECONDS = (1.5, 2.5)
RESTART_SECONDS = 0.2
"""Between the end of a session and the next sandbox that is ready in its slot."""

QUITTERS = 25
"""Visitors who close the page while they wait."""


@dataclass
class Claimed:
    """One hand-out, as its node saw it."""

    ticket: str
    at: float
    idle: float


@dataclass
class SessionNode(FakeNode):
    """A node whose sessions end by themselves."""

    rng: Random = field(default_factory=lambda: Random(1))
    log: list[Claimed] = field(default_factory=list)
    ready_since: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.ready_since.extend([time.time()] * self.ready)

    def _claim(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        before = self.ready
        status, answer = super()._claim(body)
        if self.ready < before:
            now = time.time()
            self.log.append(Claimed(body["ticket"], now, now - self.ready_since.popleft()))
            loop = asyncio.get_running_loop()
            loop.call_later(self.rng.uniform(*SESSION_SECONDS), self._end_session, loop)
        return status, answer

    def _end_session(self, loop: asyncio.AbstractEventLoop) -> None:
        self.claimed -= 1
        self.starting += 1
        loop.call_later(RESTART_SECONDS, self._become_ready)

    def _become_ready(self) -> None:
        self.starting -= 1
        self.ready += 1
        self.ready_since.append(time.time())


@dataclass
class Crowd:
    """All visitors, and what they met."""

    url: str
    rng: Random
    requests: int = 0
    placed: int = 0
    refused: int = 0
    quit: set[str] = field(default_factory=set)
    """Tickets of those who closed the page."""

    async def visit(self, number: int) -> None:
        await asyncio.sleep(ARRIVE_SECONDS * number / VISITORS)
        quits = number % (VISITORS // QUITTERS) == QUITTERS // 2
        path, asked = "/", 0
        while True:
            status, said = await self._get(path)
            asked += 1
            if status in (200, 302):
                self.placed += 1
                return
            if status != 202:
                self.refused += 1
                return
            if quits and asked > self.rng.randint(1, 6):
                self.quit.add(said["ticket"])
                return
            path = said["next"]
            await asyncio.sleep(said["retry_after"])

    async def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        self.requests += 1
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: application/json", "Connection: close"]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            answer = await reader.read()
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), json.loads(body or b"{}")


def run() -> Table:
    """One crowd, far larger than the fleet."""
    with live_entry(TMPNB_CLIENT_BURST="0", TMPNB_LOG_LEVEL="warning", TMPNB_POLL_SECONDS="2") as entry:
        nodes = [
            SessionNode(f"n{number}", ready=SLOTS_A_NODE, capacity=SLOTS_A_NODE, rng=Random(number))
            for number in range(NODES)
        ]
        for node in nodes:
            entry.enrol(node)
        crowd = Crowd(entry.url, Random(7))
        workers = psutil.Process(entry.redirector.pid).children()
        cpu_before, began = cpu(workers), time.time()
        asyncio.run(everybody(crowd))
        seconds, cpu_used = time.time() - began, cpu(workers) - cpu_before
        claims = sorted((claim for node in nodes for claim in node.log), key=lambda claim: claim.at)
        arrived = arrivals(entry)
    late, jumped = order(claims, arrived, crowd.quit, nodes)
    # Of slots that became ready while there was a queue: neither the first ones nor those at the very end.
    until = claims[-1].at - SESSION_SECONDS[1]
    idle = [claim.idle for claim in claims if claim.at - claim.idle > began and claim.at < until]
    return Table(
        f"Waiting room: {VISITORS} visitors in {ARRIVE_SECONDS:.0f} s on {NODES * SLOTS_A_NODE} slots, sessions of "
        f"{SESSION_SECONDS[0]:g} to {SESSION_SECONDS[1]:g} s",
        ["what", "measured"],
        [
            ["got a sandbox; closed the page; were refused", f"{crowd.placed}; {len(crowd.quit)}; {crowd.refused}"],
            ["went in while no slot was left for somebody before them", str(late)],
            ["went in a moment before somebody with a slot of their own", str(jumped)],
            ["idle time of a freed slot, median", f"{percentile(idle, 50):.2f} s"],
            ["idle time of a freed slot, p90", f"{percentile(idle, 90):.2f} s"],
            ["idle time of a freed slot, longest", f"{percentile(idle, 100):.2f} s"],
            ["requests a second for the whole room", f"{crowd.requests / seconds:.0f}"],
            ["requests a visitor", f"{crowd.requests / VISITORS:.1f}"],
            ["of one core, all workers", f"{100 * cpu_used / seconds:.0f} %"],
        ],
        "A page that asks every second would cost a request a second for each who waits: up to "
        f"{VISITORS - NODES * SLOTS_A_NODE} here.",
    )


async def everybody(crowd: Crowd) -> None:
    await asyncio.gather(*(crowd.visit(number) for number in range(VISITORS)))


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor time so far."""
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in processes)))


def arrivals(entry: LiveEntry) -> dict[str, int]:
    """The order of arrival by ticket, as the database gave it."""
    connection = sqlite3.connect(f"file:{entry.log.parent / 'fleet.db'}?mode=ro", uri=True)
    try:
        return dict(connection.execute("SELECT ticket, id FROM tickets"))
    finally:
        connection.close()


def order(claims: list[Claimed], arrived: dict[str, int], quit_: set[str], nodes: list[SessionNode]) -> tuple[int, int]:
    """How many were let in past somebody who waited: with no slot left for those, and with one for each."""
    went_in = {claim.ticket: claim.at for claim in claims}
    waited = {ticket: number for ticket, number in arrived.items() if ticket in went_in and ticket not in quit_}
    late = jumped = 0
    for claim in claims:
        number = waited.get(claim.ticket)
        if number is None:
            continue
        before = [went_in[ticket] for ticket, other in waited.items() if other < number and went_in[ticket] > claim.at]
        # Those before them who still waited got in from the slots that were free at that moment, or were overtaken.
        free = free_at(claim.at, nodes)
        late += len(before) > free
        jumped += bool(before) and len(before) <= free
    return late, jumped


def free_at(moment: float, nodes: list[SessionNode]) -> int:
    """Slots that were ready just after a moment: claimed later than it, but ready since before it."""
    return sum(claim.at > moment >= claim.at - claim.idle for node in nodes for claim in node.log)
