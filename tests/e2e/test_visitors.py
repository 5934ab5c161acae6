"""What a visitor of a real fleet gets."""

from __future__ import annotations

import re
from functools import partial

import pytest
import requests

from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveFleet, LiveNode
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SANDBOX_URL = re.compile(r"http://127\.0\.0\.1:\d+/user/[a-z2-7]{34}/")


def test_the_entry_url_leads_to_a_lab_whose_kernel_computes(fleet: LiveFleet) -> None:
    answer = fleet.visit()
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    location = answer.headers["Location"]
    assert SANDBOX_URL.match(location)
    assert location.endswith("/lab")
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
