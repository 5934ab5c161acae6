"""The page for everyone."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.web.visitors.status import sentence
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker


def test_there_is_no_page_unless_the_operator_wants_one(fleet: SteppedWorker) -> None:
    assert fleet.web.get("/status").status_code == 404


def test_it_tells_numbers_and_names_no_node(tmp_path: Path, nodes: FakeNodes) -> None:
    with stepped_worker(tmp_path, TMPNB_STATUS_PAGE="1") as fleet:
        fleet.add(nodes.add("secret-host", capacity=7, ready=4, claimed=3))
        page = fleet.web.get("/status")
    assert page.status_code == 200
    assert "<dt>free</dt><dd>4</dd>" in page.text
    assert "<dt>in use</dt><dd>3</dd>" in page.text
    assert "<dt>waiting</dt><dd>0</dd>" in page.text
    assert "secret-host" not in page.text
    assert "127.0.0.1" not in page.text
    assert page.headers["Refresh"]


def test_a_crowd_of_readers_is_one_look_at_the_fleet(tmp_path: Path, nodes: FakeNodes) -> None:
    with stepped_worker(tmp_path, TMPNB_STATUS_PAGE="1") as fleet:
        fleet.add(nodes.add("n1", ready=4))
        first = fleet.web.get("/status").text
        # Without the cache this would be seen.
        for file in fleet.settings.state.glob("fleet.db*"):
            file.unlink()
        assert fleet.web.get("/status").text == first


@pytest.mark.parametrize(
    ("free", "coming", "waiting", "word"),
    [(3, 0, 0, "right away"), (0, 2, 0, "in a moment"), (0, 0, 0, "in use"), (3, 0, 5, "wait a little")],
)
def test_it_says_what_the_numbers_mean(free: int, coming: int, waiting: int, word: str) -> None:
    assert word in sentence(free, coming, waiting)
