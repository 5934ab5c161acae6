"""What keeps a session of a real Jupyter server, and what does not: requests by themselves never do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests
import websocket

from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, live_node, settled
from tests.support.waiting import wait_until

UNVISITED, IDLE = 5, 12


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    with live_node(CAPACITY="4", UNVISITED_SECONDS=str(UNVISITED), CULL_IDLE_SECONDS=str(IDLE)) as node:
        del node.settings["TMPNB_NODE_COMMAND"]
        node.start()
        settled(node, available=4)
        yield node


def name_in(base: str) -> str:
    return base.rstrip("/").rpartition("/")[2][:8]


def reason(node: LiveNode, base: str) -> str:
    """Why a session was ended; empty while it lives."""
    lines = [line for line in node.agent.log.read_text().splitlines() if f"ended sandbox={name_in(base)}" in line]
    return lines[0].partition("reason=")[2].split()[0] if lines else ""


def is_gone(base: str) -> bool:
    return requests.get(f"{base}api/kernels?{time.time_ns() // 10**6}", timeout=10).status_code == 410


def test_an_extension_that_polls_keeps_nothing_and_a_file_that_was_fetched_is_a_visit(node: LiveNode) -> None:
    polled, fetched, absent = claim(node), claim(node), claim(node)
    assert requests.get(f"{fetched}files/Welcome.ipynb", timeout=10).status_code == 200
    wait_until(lambda: is_gone(polled), IDLE * 4, "the end of a session that is only polled")
    wait_until(lambda: reason(node, fetched), IDLE * 4, "the end of a session that was only visited")
    assert [reason(node, each) for each in (polled, fetched, absent)] == ["idle", "idle", "unvisited"]


def test_somebody_at_work_in_a_page_and_a_silent_program_in_a_terminal_keep_their_sessions(node: LiveNode) -> None:
    settled(node, available=4)
    typed, ran, rested = claim(node), claim(node), claim(node)
    name = requests.post(f"{ran}api/terminals", timeout=10).json()["name"]
    address = f"ws{ran.removeprefix('http')}terminals/websocket/{name}"
    with closing(websocket.create_connection(address, timeout=30)) as terminal:
        # Jupyter says "setup" when the shell is there.
        terminal.recv()
        terminal.send(json.dumps(["stdin", "sleep 600\r"]))
        requests.get(f"{rested}lab", timeout=10)

        def at_work_until(seconds: float) -> None:
            """Report as pages do while somebody uses a key, a little more often than is needed."""
            end = time.monotonic() + seconds
            key = typed.rstrip("/").rpartition("/")[2]
            while time.monotonic() < end:
                assert requests.post(f"{node.url}/-/left/{key}", timeout=10).ok
                beat = time.monotonic() + 1
                wait_until(lambda: time.monotonic() > beat, 10, "the next report")  # noqa: B023

        # What was printed at the start counts too: after two idle times only what still counts keeps anything.
        at_work_until(IDLE * 2.5)
    assert (reason(node, typed), reason(node, ran), reason(node, rested)) == ("", "", "idle")
