"""What a visitor of a real fleet gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest
import requests

from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveFleet, LiveNode
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def visitor(fleet: LiveFleet) -> Iterator[requests.Session]:
    """Somebody with a sandbox and a cookie."""
    wait_until(lambda: fleet.stats()["available"], 60, "a free slot")
    with requests.Session() as session:
        assert session.get(fleet.url, timeout=30).status_code == 200
        yield session


SANDBOX_URL = re.compile(r"http://127\.0\.0\.1:\d+/user/[a-z2-7]{34}/")


def test_the_entry_url_leads_to_a_lab_whose_kernel_computes(fleet: LiveFleet) -> None:
    answer = fleet.visit()
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    location = answer.headers["Location"]
    assert SANDBOX_URL.match(location)
    assert location.endswith("/lab/tree/Welcome.ipynb")
    page = requests.get(location, timeout=30)
    assert page.status_code == 200
    assert "jupyter-config-data" in page.text
    with Kernel(base_of(location)) as kernel:
        assert kernel.run("6*7") == "42"


@pytest.mark.parametrize(
    "path",
    [
        "/lab/tree/Welcome.ipynb?reset",
        "/notebooks/Welcome.ipynb?one=1&two=a%20b",
        "/tree?x=%C3%A4",
        "/files/Welcome.ipynb",
    ],
)
def test_a_landing_path_is_kept_with_its_query(fleet: LiveFleet, path: str) -> None:
    wait_until(lambda: fleet.stats()["available"], 60, "a free slot")
    answer = fleet.visit(path)
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert location == base_of(location).rstrip("/") + path
    assert requests.get(location, timeout=30).status_code == 200


def test_every_sandbox_holds_a_welcome_notebook_that_says_it_will_vanish(fleet: LiveFleet) -> None:
    wait_until(lambda: fleet.stats()["available"], 60, "a free slot")
    base = base_of(fleet.visit().headers["Location"])
    notebook = requests.get(f"{base}api/contents/Welcome.ipynb", timeout=30).json()["content"]
    text = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert "temporary" in text.lower()


@pytest.mark.parametrize("path", ["/favicon.ico", "/wp-login.php", "/api/nothing", "/labyrinth", "/user"])
def test_any_other_path_is_a_404_and_takes_nothing(fleet: LiveFleet, path: str) -> None:
    before = [node.stats()["claims_total"] for node in fleet.nodes]
    assert fleet.visit(path).status_code == 404
    assert [node.stats()["claims_total"] for node in fleet.nodes] == before


@pytest.mark.parametrize(
    "path",
    [
        "/files//a",
        "/files/%2e%2e/a",
        "/files/a%2f..%2fb",
        "/files/a%5cb",
        "/files/%ff",
        "/files/a%00",
        "/files/a%0d%0aSet-Cookie:x",
        "/user/stale/../a",
    ],
)
def test_a_path_that_no_file_can_have_takes_nothing_from_entry_and_node(fleet: LiveFleet, path: str) -> None:
    before = [node.stats()["claims_total"] for node in fleet.nodes]
    for url in (fleet.url, fleet.nodes[0].url):
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            connection.request("GET", path)  # as it stands here, unlike requests
            assert connection.getresponse().status in (400, 403, 404, 410)
    assert [node.stats()["claims_total"] for node in fleet.nodes] == before


@pytest.mark.parametrize(
    "name",
    [
        "a b.txt",
        "\u00c4.txt",
        "a\u202fb.txt",
        "\U0001f469\u200d\U0001f4bb.txt",
        "a?b#c%2f.txt",
        "100%.txt",
        "a;b+c.txt",
    ],
)
def test_a_link_to_a_file_of_any_name_finds_it(fleet: LiveFleet, visitor: requests.Session, name: str) -> None:
    base = base_of(visitor.get(f"{fleet.url}/tree", allow_redirects=False, timeout=30).headers["Location"])
    file = {"type": "file", "format": "text", "content": "found"}
    assert requests.put(f"{base}api/contents/{quote(name)}", json=file, timeout=30).status_code == 201
    answer = visitor.get(f"{fleet.url}/files/{quote(name)}", timeout=30)
    assert (answer.status_code, answer.text) == (200, "found")
    assert answer.url.startswith(base), "their own sandbox, by way of the entry"


def test_a_head_request_takes_nothing(fleet: LiveFleet) -> None:
    before = [node.stats()["claims_total"] for node in fleet.nodes]
    assert requests.head(f"{fleet.url}/", timeout=5).status_code == 200
    assert [node.stats()["claims_total"] for node in fleet.nodes] == before


def test_the_api_hands_out_an_absolute_url(fleet: LiveFleet) -> None:
    wait_until(lambda: fleet.stats()["available"], 60, "a free slot")
    answer = requests.post(f"{fleet.url}/api/spawn", json={"path": "/tree"}, timeout=10)
    assert answer.status_code == 200
    assert SANDBOX_URL.match(answer.json()["url"])
    assert answer.json()["url"].endswith("/tree")


def test_a_claimed_slot_is_refilled_up_to_the_capacity_and_no_further(fleet: LiveFleet) -> None:
    for node in fleet.nodes:
        stats = wait_until(partial(_settled, node), 60, "the refill")
        assert stats["available"] + stats["claimed"] <= stats["capacity"]


def _settled(node: LiveNode) -> dict[str, int]:
    stats = node.stats()
    return stats if stats.get("starting") == 0 and stats.get("startable") == 0 else {}
