"""Homes of real Jupyter servers are filled on a real node: before anybody comes, and after the claim."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from node_agent.jupyter.command import JUPYTER_LAB
from tests.support.blobs import digest_of, tar_of
from tests.support.kernels import Kernel
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node, settled
from tests.support.waiting import wait_until

TRUSTED = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "a",
            "metadata": {"trusted": True},
            "outputs": [
                {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}, "metadata": {}}
            ],
            "source": "1",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
"""A notebook that calls itself trusted."""

FILES = {
    "Lektion 1/Übung.ipynb": json.dumps(TRUSTED).encode(),
    "data/measured.csv": b"a,b\n1,2\n",
    "data/large.bin": b"x" * 5000,
    "binary.dat": bytes(range(256)),
    ".git/config": b"hidden",
    "data/.cache": b"hidden below",
}
BLOB = tar_of(FILES)
SMALL = tar_of({name: body for name, body in FILES.items() if len(body) < 5000})
SHOWN = {name for name in FILES if "." not in {part[0] for part in name.split("/")}}

WITHOUT_LAUNCHER = JUPYTER_LAB.replace("{server}", f"{sys.executable} -m jupyterlab", 1)


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    """A node with two pools, the second one without our launcher."""
    with live_node(
        COMMAND=JUPYTER_LAB,
        CONTENT_COPY="4k",
        CAPACITY="4",
        WARM="2",
        POOLS="plain",
        POOL_PLAIN_COMMAND=WITHOUT_LAUNCHER,
        POOL_PLAIN_WARM="1",
        POOL_PLAIN_CAPACITY="3",
    ) as node:
        node.start()
        settled(node, available=3)
        send(node, BLOB)
        send(node, SMALL)
        yield node


def ask(node: LiveNode, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {node.token}"}
    return requests.request(method, f"{node.url}{path}", headers=headers, timeout=60, **more)


def send(node: LiveNode, blob: bytes) -> None:
    assert ask(node, "PUT", f"/api/blobs/{digest_of(blob)}", data=blob).status_code == 201


def came(node: LiveNode, blob: bytes, pool: str = "default") -> tuple[str, str, str]:
    """The address and the name of a sandbox that a visitor got who came for a content, and their ticket."""
    settled(node)
    wait_until(lambda: node.stats()["pools"][pool]["available"], 60, "a free sandbox")
    ticket = secrets.token_urlsafe(24)
    body = {"pool": pool, "tickets": [{"ticket": ticket, "path": "/", "content": digest_of(blob)}]}
    [claim] = ask(node, "POST", "/api/spawn", json=body).json()["claims"]
    return f"{node.url}{claim['url']}", claim["name"], ticket


def fill(node: LiveNode, name: str, ticket: str) -> Any:
    return ask(node, "POST", f"/api/sandboxes/{name}/content", json={"ticket": ticket, "wait_seconds": 10}).json()


def files(home: Path) -> dict[str, bytes]:
    """What is not hidden in a home, by its name."""
    found = [path for path in home.rglob("*") if not any(part.startswith(".") for part in path.relative_to(home).parts)]
    return {str(path.relative_to(home)): path.read_bytes() for path in found if path.is_file()}


def home_of(node: LiveNode, name: str) -> Path:
    return node.state_dir / "sandboxes" / name / "home"


def test_the_launcher_s_server_copies_small_files_and_links_large_ones(node: LiveNode) -> None:
    url, name, ticket = came(node, BLOB)
    assert fill(node, name, ticket) == {"state": "done", "message": ""}
    home = home_of(node, name)
    got = files(home)
    assert {path: got[path] for path in SHOWN} == {path: FILES[path] for path in SHOWN}
    assert not (home / ".git").exists()
    assert (home / "data/large.bin").is_symlink()
    assert not (home / "binary.dat").is_symlink()
    with Kernel(url) as kernel:
        assert kernel.run("print(len(open('data/large.bin').read()))") == "5000"
    # Jupyter itself does not follow a link out of the home; docs say so.
    assert requests.get(f"{url}files/data/large.bin", timeout=20).status_code in (403, 404)


def test_any_other_server_gets_the_same_files_through_its_api(node: LiveNode) -> None:
    mine, name, ticket = came(node, SMALL)
    theirs, plain, other = came(node, SMALL, "plain")
    assert fill(node, name, ticket)["state"] == fill(node, plain, other)["state"] == "done"
    ours, got = files(home_of(node, name)), files(home_of(node, plain))
    assert SHOWN - {"data/large.bin"} <= got.keys()
    assert ours == got
    for url in (mine, theirs):
        path = quote("Lektion 1/Übung.ipynb")
        notebook = requests.get(f"{url}api/contents/{path}", timeout=20).json()["content"]
        assert notebook["cells"][0]["metadata"].get("trusted") is not True, "what was written would run its scripts"


def test_a_server_without_the_launcher_says_that_it_cannot_link(node: LiveNode) -> None:
    _, name, ticket = came(node, BLOB, "plain")
    state = fill(node, name, ticket)
    assert (state["state"], "large.bin" in state["message"]) == ("failed", True)
    assert "data" not in {path.name for path in home_of(node, name).iterdir()}


def test_a_second_try_leaves_what_the_visitor_changed(node: LiveNode) -> None:
    url, name, ticket = came(node, SMALL, "plain")
    body = {"type": "file", "format": "text", "content": "mine"}
    assert requests.put(f"{url}api/contents/binary.dat", json=body, timeout=20).status_code == 201
    assert fill(node, name, ticket)["state"] == "done"
    assert files(home_of(node, name))["binary.dat"] == b"mine"
    assert files(home_of(node, name))["data/measured.csv"] == FILES["data/measured.csv"]


def test_a_pool_s_content_is_there_when_the_visitor_comes(node: LiveNode) -> None:
    put = ask(node, "PUT", "/api/pools/default", json={"content": digest_of(BLOB)})
    assert put.status_code == 200, put.text
    wait_until(
        lambda: (pool := node.stats()["pools"]["default"])["available"] >= 1 and pool["stale"] == 0, 60, "the roll"
    )
    url, name, ticket = came(node, BLOB)
    got = files(home_of(node, name))
    assert {path: got[path] for path in SHOWN} == {path: FILES[path] for path in SHOWN}
    assert fill(node, name, ticket)["state"] == "done"
    assert requests.get(f"{url}api/contents/binary.dat?content=0", timeout=20).json()["last_modified"] > "2020"


def test_a_killed_agent_s_successor_knows_what_its_sandboxes_were_made_with(node: LiveNode) -> None:
    before = {path.name for path in (node.state_dir / "sandboxes").iterdir()}
    node.agent.kill()
    node.agent.start()
    stats = settled(node)
    wait_until(lambda: node.stats().get("available"), 60, "the next agent")
    stats = node.stats()["pools"]["default"]
    assert (stats["content"], stats["stale"]) == (digest_of(BLOB), 0)
    assert before <= {path.name for path in (node.state_dir / "sandboxes").iterdir()}
    blobs = {blob["digest"]: blob["uses"] for blob in ask(node, "GET", "/api/blobs").json()["blobs"]}
    assert blobs[digest_of(BLOB)] >= 2
