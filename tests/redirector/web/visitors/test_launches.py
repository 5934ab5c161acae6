"""Launches step by step, as the process of the event streams asks for them: `POST /api/launch` and `/api/places`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redirector.model.content import Content, ContentPattern, FetchedBlob
from redirector.model.events import Event
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.database import Database
from redirector.store.ticket_rows import Ticket
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

DIGEST = "d" * 64
COMMIT = "c0ffee" * 6 + "c0ff"
ADDED = Event(0.0, "content_added", by="ann")
SPEC = "gh/org/course/HEAD"


def add_content(fleet: SteppedWorker, source: str = "gh:org/course", digest: str = DIGEST, needs: str = "") -> None:
    contents = Contents(Database(fleet.settings.database_url))
    contents.add(Content("course", source), ADDED)
    if digest:
        contents.fetched(contents.all()["course"], FetchedBlob(digest, COMMIT, 10, 1, needs))
    fleet.worker.sync_loop.tick()


def step(fleet: SteppedWorker, identity: str = "", spec: str = SPEC, **headers: str) -> Any:
    answer = fleet.web.post("/api/launch", json={"spec": spec, "id": identity}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def phases(view: Any) -> list[str]:
    return [event["phase"] for event in view["events"]]


@pytest.fixture
def node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    node = nodes.add("n1", blobs={DIGEST}, capacity=50, ready=50)
    fleet.add(node)
    return node


def test_a_launch_that_finds_a_sandbox_is_ready_at_once(node: FakeNode, fleet: SteppedWorker) -> None:
    add_content(fleet, needs="requirements.txt: numpy, rasterio")
    view = step(fleet)
    assert phases(view) == ["launching", "ready"]
    launching, ready = view["events"]
    assert "requirements.txt: numpy, rasterio" in launching["message"]
    assert ready["message"].endswith("\n")
    assert ready["url"].startswith(f"{node.url}/user/")
    assert ready["url"].endswith("/")
    assert ready["url"].count("/") == 5
    assert ready["token"] == ""
    assert ready["image"] == "an/image"
    assert ready["repo_url"] == "https://github.com/org/course"
    assert ready["binder_ref_url"] == f"https://github.com/org/course/tree/{COMMIT}"
    assert ready["binder_launch_host"] == "http://localhost/"
    assert ready["binder_request"] == "v2/gh/org/course/HEAD"
    assert ready["binder_persistent_request"] == f"v2/gh/org/course/{COMMIT}"
    assert view["ask_seconds"] is None
    [ticket] = node.claims
    assert node.wished == {ticket: DIGEST}
    assert node.spawns()[-1].body["tickets"][0]["embedded"] is True


@pytest.mark.parametrize(
    ("source", "spec", "path", "page"),
    [
        ("gl:group/sub/p@v1", "gl/group%2Fsub%2Fp/v1", "gl/group%2Fsub%2Fp/", "https://gitlab.com/group/sub/p/-/tree/"),
        ("git+https://g.example/r@v/1", "git/https%3A%2F%2Fg.example%2Fr/v/1", "git/https%3A%2F%2Fg.example%2Fr/", ""),
    ],
)
def test_each_kind_of_repository_is_named_as_its_links_name_it(  # noqa: PLR0917
    node: FakeNode, fleet: SteppedWorker, source: str, spec: str, path: str, page: str
) -> None:
    add_content(fleet, source)
    ready = step(fleet, spec=spec)["events"][-1]
    assert ready["binder_persistent_request"] == f"v2/{path}{COMMIT}"
    assert ready["binder_ref_url"] == (f"{page}{COMMIT}" if page else "https://g.example/r")
    assert len(node.claims) == 1


def test_whoever_comes_back_with_the_id_has_the_same_sandbox(node: FakeNode, fleet: SteppedWorker) -> None:
    add_content(fleet)
    first = step(fleet)
    again = step(fleet, first["id"])
    assert again["events"] == first["events"]
    assert len(node.claims) == 1
    # Of one that has ended, or an id that nobody gave out, nothing is known: that is a new launch.
    node.claims.clear()
    for identity in (first["id"], "x" * 30, "made.up.id", "../..", "ü", "a" * 2000):
        assert phases(step(fleet, identity)) == ["launching", "ready"]


def test_nothing_is_taken_before_the_files_are_fetched(node: FakeNode, fleet: SteppedWorker) -> None:
    add_content(fleet, digest="")
    view = step(fleet)
    assert phases(view) == ["fetching"]
    assert view["ask_seconds"] > 0
    assert node.claims == {}
    contents = Contents(Database(fleet.settings.database_url))
    contents.failed(contents.all()["course"], "the forge does not answer")
    fleet.worker.sync_loop.tick()
    view = step(fleet)
    assert phases(view) == ["failed"]
    assert view["events"][0]["status_code"] == 503
    assert "the forge does not answer" in view["events"][0]["message"]
    assert node.claims == {}


def test_a_link_that_is_allowed_is_fetched_and_one_that_is_not_fails(node: FakeNode, fleet: SteppedWorker) -> None:
    ContentPatterns(Database(fleet.settings.database_url)).allow(ContentPattern("gh:org/*"), ADDED)
    fleet.worker.sync_loop.tick()
    assert phases(step(fleet, spec="gh/org/new/main")) == ["fetching"]
    for spec, status in (
        ("gh/other/repo/main", 404),
        ("gh/org", 400),
        ("gist/user/abc", 400),
        ("gh/org/repo/..%2F..%2Fx", 400),
        ("gh/org/repo/main%00", 400),
        ("gh/org/%2e%2e/main", 400),
        ("gh/\u043erg/repo/main", 400),
        ("gh/" + "x" * 1900, 400),
        ("", 400),
    ):
        view = step(fleet, spec=spec)
        assert phases(view) == ["failed"], spec
        assert view["events"][0]["status_code"] == status, spec
        assert view["events"][0]["message"].endswith(".\n")
        assert view["ask_seconds"] is None
    assert node.claims == {}


def test_files_that_are_on_their_way_are_waited_for_with_one_sandbox(node: FakeNode, fleet: SteppedWorker) -> None:
    add_content(fleet, digest="e" * 64)  # which the node lacks
    first = step(fleet)
    assert phases(first) == ["launching"]
    assert first["ask_seconds"] > 0
    assert phases(step(fleet, first["id"])) == ["launching"]
    node.blobs.add("e" * 64)
    ready = step(fleet, first["id"])
    assert phases(ready) == ["launching", "ready"]
    assert len(node.claims) == 1


def test_without_room_there_is_a_place_that_the_id_keeps(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", blobs={DIGEST}, ready=0, capacity=1)
    fleet.add(node)
    add_content(fleet)
    first = step(fleet)
    assert phases(first) == ["waiting"]
    assert first["events"][0]["message"] == "place 1 of 1\n"
    second = step(fleet)
    assert second["events"][0]["message"] == "place 2 of 2\n"
    assert first["id"] != second["id"]
    node.ready = 1
    fleet.tick()
    assert phases(step(fleet, second["id"])) == ["waiting"]
    ready = step(fleet, first["id"])
    assert phases(ready) == ["launching", "ready"]
    assert "." in ready["id"]
    # The answer may have been lost on its way.
    assert step(fleet, first["id"])["events"] == ready["events"]
    assert len(node.claims) == 1


def test_a_fleet_without_a_waiting_room_says_why_there_is_nothing(tmp_path: Path, nodes: FakeNodes) -> None:
    with stepped_worker(tmp_path, TMPNB_WAITING_LIMIT="0") as fleet:
        fleet.add(nodes.add("n1", blobs={DIGEST}, ready=0, capacity=1))
        add_content(fleet)
        view = step(fleet)
    assert phases(view) == ["failed"]
    assert view["events"][0]["status_code"] == 503
    assert view["events"][0]["message"] == "Every sandbox is in use; ask again later.\n"


def test_a_pool_whose_nodes_take_no_files_takes_nobody(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", holds_content=False)
    fleet.add(node)
    add_content(fleet)
    view = step(fleet)
    assert phases(view) == ["failed"]
    assert view["events"][0]["status_code"] == 503
    assert node.claims == {}


def test_those_far_from_the_front_are_told_together(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", blobs={DIGEST}, ready=0, capacity=1)
    fleet.add(node)
    add_content(fleet)
    tickets = [f"{number:030}" for number in range(40)]
    for ticket in tickets:
        fleet.worker.waiting_queue._tickets.join(
            Ticket(ticket, "default", ""), limit=100, held_seconds=0, interval=5, refused=False
        )
    fleet.worker.sync_loop.tick()
    answer = fleet.web.post("/api/places", json={"tickets": [*tickets, "u" * 30]})
    places = answer.get_json()["places"]
    assert set(places) == set(tickets[8:])
    assert places[tickets[8]] == {"phase": "waiting", "message": "place 9 of 40\n"}
    mine = step(fleet)
    assert mine["far_back"] is True
    fleet.worker.sync_loop.tick()
    assert mine["id"] in fleet.web.post("/api/places", json={"tickets": [mine["id"]]}).get_json()["places"]
    assert step(fleet, mine["id"])["far_back"] is True
    assert step(fleet, tickets[0])["far_back"] is False


@pytest.mark.parametrize("tickets", [["short"], ["x" * 129], [f"{n:030}" for n in range(501)], "x" * 30, [1]])
def test_what_is_no_list_of_tickets_is_refused(fleet: SteppedWorker, tickets: object) -> None:
    assert fleet.web.post("/api/places", json={"tickets": tickets}).status_code == 400


def test_launches_are_counted_by_the_clients_address(tmp_path: Path, nodes: FakeNodes) -> None:
    limits = {"TMPNB_CLIENT_BURST": "2", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_TRUSTED_PROXIES": "1"}
    with stepped_worker(tmp_path, **limits) as fleet:
        fleet.add(nodes.add("n1", blobs={DIGEST}, ready=50, capacity=50))
        add_content(fleet)
        ours = {"X-Forwarded-For": "192.0.2.1"}
        assert fleet.web.get("/", headers=ours).status_code == 302
        assert phases(step(fleet, **ours)) == ["launching", "ready"]
        held = step(fleet, **ours)
        assert phases(held) == ["waiting"]
        assert held["events"][0]["message"].startswith(
            "Your address has had more sandboxes than its share: place 1 of 1"
        )
        assert phases(step(fleet, **{"X-Forwarded-For": "192.0.2.2"})) == ["launching", "ready"]
