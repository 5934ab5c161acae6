"""When sandboxes for live code in a page end, with a real Jupyter server: soon after the page, never under it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests
import websocket

from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node, settled
from tests.support.waiting import wait_until

CLOSED = 15
LONG = CLOSED * 12


@pytest.fixture
def node() -> Iterator[LiveNode]:
    with live_node(CAPACITY="4", CULL_CLOSED_SECONDS=str(CLOSED)) as node:
        del node.settings["TMPNB_NODE_COMMAND"]
        node.start()
        settled(node, available=4)
        yield node


def claim(node: LiveNode, *, embedded: bool = True) -> str:
    """The base URL of a sandbox that was claimed as a redirector does."""
    ticket = {"ticket": secrets.token_urlsafe(24), "path": "/", "embedded": embedded}
    headers = {"Authorization": f"Bearer {node.token}"}
    answer = requests.post(f"{node.url}/api/spawn", json={"tickets": [ticket]}, headers=headers, timeout=10)
    return f"{node.url}{answer.json()['claims'][0]['url']}"


def channels(base: str) -> websocket.WebSocket:
    """A connection to a new kernel of a sandbox, as a page has one."""
    kernel = requests.post(f"{base}api/kernels", timeout=60).json()["id"]
    return websocket.create_connection(f"ws{base.removeprefix('http')}api/kernels/{kernel}/channels", timeout=60)


def run(socket: websocket.WebSocket, code: str) -> None:
    """Ask for a cell, and wait until the kernel says that it computes it."""
    header = {"msg_id": "cell", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps(asked))
    while True:
        said = json.loads(socket.recv())
        if said["msg_type"] == "execute_input" and said["parent_header"].get("msg_id") == "cell":
            return


def reason(node: LiveNode, base: str) -> str:
    """Why a session was ended; empty while it lives."""
    mark = f"ended sandbox={base.rstrip('/').rpartition('/')[2][:8]}"
    lines = [line for line in node.agent.log.read_text().splitlines() if mark in line]
    return lines[0].partition("reason=")[2].split()[0] if lines else ""


def test_live_code_ends_after_its_page_also_after_a_restart_of_the_agent(node: LiveNode) -> None:
    left, read, busy, launched = claim(node), claim(node), claim(node), claim(node, embedded=False)
    with closing(channels(read)):
        with closing(channels(busy)) as socket:
            run(socket, "import time; time.sleep(600)")
        for base in (left, launched):
            channels(base).close()
        wait_until(lambda: reason(node, left), LONG, "the end of the one whose page has gone")
        # It had gone no earlier than the pages of the others, which were there or at work.
        assert [reason(node, each) for each in (left, read, busy, launched)] == ["closed", "", "", ""]
        node.agent.stop()
        node.agent.start()
        assert requests.get(f"{read}api/kernels", timeout=60).status_code == 200
    wait_until(lambda: reason(node, read), LONG, "the end of one that was claimed before the restart")
    assert [reason(node, each) for each in (read, busy, launched)] == ["closed", "", ""]
