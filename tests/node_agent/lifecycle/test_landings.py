"""Where visitors land: what the pool's setting names, as far as its sandboxes have that."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.lifecycle.landings import Landing, Landings, without_file
from node_agent.pools.specs import PoolSpec
from tests.support.live_node import live_node, settled

PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"}


@pytest.mark.parametrize(
    ("landing", "rest"),
    [
        ("/lab", "/lab"),
        ("/lab/tree/Welcome.ipynb", "/lab"),
        ("/lab/tree/a/b.ipynb?reset", "/lab"),
        ("/lab/workspaces/w/tree/a.ipynb", "/lab/workspaces/w"),
        ("/lab/workspaces/w", "/lab/workspaces/w"),
        ("/doc/tree/a.ipynb", "/lab"),
        ("/tree/a", "/tree"),
        ("/notebooks/a.ipynb", "/tree"),
        ("/edit/a.txt", "/tree"),
        ("/voila/render/a.ipynb", "/voila/render/a.ipynb"),
    ],
)
def test_a_landing_page_has_one_without_its_file(landing: str, rest: str) -> None:
    assert without_file(landing) == rest


@pytest.mark.parametrize(
    ("wanted", "opened"),
    [
        ("", "/notebooks/Welcome.ipynb"),
        ("/lab/tree/a%20b/c.ipynb?x=1", "/notebooks/a%20b/c.ipynb?x=1"),
        ("/lab/tree/data.csv", "/lab/tree/data.csv"),
        ("/lab", "/lab"),
    ],
)
def test_a_phone_gets_a_notebook_alone_where_the_sandbox_has_such_a_page(wanted: str, opened: str) -> None:
    page = "/lab/tree/Welcome.ipynb"
    assert Landing(page, notebooks=True).path(wanted, phone=True) == opened
    assert Landing(page, notebooks=True).path(wanted, phone=False) == (wanted or page)
    assert Landing(page, notebooks=False).path(wanted, phone=True) == (wanted or page)


class Server:
    """A sandbox's server that has these pages; it may fail to answer."""

    def __init__(self, *pages: str) -> None:
        self.pages = pages
        self.silent = False
        self.requests: list[str] = []

    def status(self, _socket: Path, target: str) -> int:
        self.requests.append(target)
        return 0 if self.silent else 200 if target in self.pages else 404


def spec(image: str = "one") -> PoolSpec:
    return PoolSpec("default", image, 1, 1, "/lab/tree/Welcome.ipynb")


def test_a_pool_is_asked_once_for_each_image() -> None:
    server = Server("/u/api/contents/Welcome.ipynb?content=0", "/u/tree")
    landings = Landings(server.status)
    for image in ("one", "one", "two"):
        landings.observe(spec(image), Path("socket"), "/u/")
    assert landings.of(spec("two")) == Landing("/lab/tree/Welcome.ipynb", notebooks=True)
    assert len(server.requests) == 4


def test_an_image_without_the_file_and_without_notebook_opens_jupyterlab() -> None:
    landings = Landings(Server().status)
    landings.observe(spec(), Path("socket"), "/u/")
    assert landings.of(spec()) == Landing("/lab", notebooks=False)
    assert landings.of(spec("another image")).page == "/lab/tree/Welcome.ipynb", "of which nothing is known"


def test_a_server_that_does_not_answer_is_asked_again_by_the_next_one() -> None:
    server = Server()
    server.silent = True
    landings = Landings(server.status)
    landings.observe(spec(), Path("socket"), "/u/")
    assert landings.of(spec()).page == "/lab/tree/Welcome.ipynb"
    server.silent = False
    landings.observe(spec(), Path("socket"), "/u/")
    assert landings.of(spec()).page == "/lab"


@pytest.mark.parametrize(
    ("settings", "lab", "phone"),
    [
        ({}, "/lab/tree/Welcome.ipynb", "/notebooks/Welcome.ipynb"),
        ({"LANDING": "/lab/tree/Nope.ipynb"}, "/lab", "/lab"),
    ],
)
def test_jupyter_is_asked_before_anybody_comes(settings: dict[str, str], lab: str, phone: str) -> None:
    with live_node(COMMAND=JUPYTER_LAB, CAPACITY="3", **settings) as node:
        node.start()
        settled(node, available=3)

        def lands(**headers: str) -> str:
            answer = requests.get(node.url, headers=headers, timeout=10, allow_redirects=False)
            assert requests.get(node.url + answer.headers["Location"], headers=headers, timeout=20).ok
            return answer.headers["Location"][len("/user/") + 34 :]

        assert lands() == lab
        assert lands(**PHONE) == phone
