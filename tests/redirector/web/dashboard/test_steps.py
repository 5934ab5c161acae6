"""What the dashboard's buttons do that takes more than one request, and what they refuse."""

from __future__ import annotations

import pytest

from tests.redirector.web.dashboard.test_blueprint import act, log_in
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker


@pytest.fixture
def two(fleet: SteppedWorker, nodes: FakeNodes) -> tuple[FakeNode, FakeNode]:
    first, second = nodes.add("n1"), nodes.add("n2")
    fleet.add(first, second)
    return first, second


def steps(fleet: SteppedWorker, csrf: str, path: str, **body: object) -> list[str]:
    """Press until it is done; what was said at each step."""
    said: list[str] = []
    tested = False
    for _ in range(12):
        status, answer = act(fleet, csrf, path, **body, tested=tested)
        assert status == 200, answer
        said.append(str(answer["message"]))
        tested = bool(answer["tested"])
        if answer["done"]:
            return said
        fleet.tick()
    raise AssertionError(said)


def test_a_rotation_adds_proves_drains_and_removes(
    fleet: SteppedWorker, nodes: FakeNodes, two: tuple[FakeNode, FakeNode]
) -> None:
    new, csrf = nodes.add("n3"), log_in(fleet)
    assert len(two) == 2
    said = steps(fleet, csrf, "n1/rotate", url=new.url, token=new.token)
    assert said[0] == "n3 was added"
    assert "n3: its selftest passed" in said
    assert said[-2:] == ["n1 was removed", f"n1 is out of the fleet, {new.url} is in"]
    assert sorted(fleet.worker.registry.all()) == ["n2", "n3"]
    assert steps(fleet, csrf, "n1/rotate", url=new.url) == said[-1:], "what is done is not done again"


def test_a_new_node_that_fails_its_selftest_leaves_the_old_one_as_it_was(
    fleet: SteppedWorker, nodes: FakeNodes, two: tuple[FakeNode, FakeNode]
) -> None:
    new, csrf = nodes.add("n3", image="bad", bad_images={"bad"}), log_in(fleet)
    assert len(two) == 2
    act(fleet, csrf, "n1/rotate", url=new.url, token=new.token)
    fleet.tick()
    status, refusal = act(fleet, csrf, "n1/rotate", url=new.url)
    assert (status, refusal["status"]) == (502, "node_failed")
    assert "n1 is as it was" in str(refusal["message"])
    assert fleet.worker.registry.all()["n1"].intent == "active"


def test_a_rotation_waits_for_sessions_and_never_ends_them(
    fleet: SteppedWorker, nodes: FakeNodes, two: tuple[FakeNode, FakeNode]
) -> None:
    new, csrf = nodes.add("n3"), log_in(fleet)
    two[0].claimed, two[0].ready = 1, 4
    tested = False
    for _ in range(6):
        _, answer = act(fleet, csrf, "n1/rotate", url=new.url, token=new.token, tested=tested)
        tested = bool(answer.get("tested"))
        fleet.tick()
    assert answer["message"] == "waiting until the sessions of n1 have ended: 1 left"
    assert "n1" in fleet.worker.registry.all()


def test_a_node_of_the_fleet_takes_anothers_place_only_if_the_operator_insists(
    fleet: SteppedWorker, nodes: FakeNodes, two: tuple[FakeNode, FakeNode]
) -> None:
    fleet.add(nodes.add("n3"))
    csrf = log_in(fleet)
    for body in ({}, {"force": True}):
        status, refusal = act(fleet, csrf, "n1/rotate", url=two[1].url, **body)
        assert (status, refusal["status"], refusal["name"]) == (409, "already_member", "n2")
    assert fleet.worker.registry.all()["n1"].intent == "active"
    assert steps(fleet, csrf, "n1/rotate", url=two[1].url, agreed=True)[-1].startswith("n1 is out of the fleet")


def test_a_node_that_never_was_is_not_out_of_the_fleet(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    csrf = log_in(fleet)
    status, refusal = act(fleet, csrf, "n9/rotate", url=two[1].url)
    assert (status, refusal["status"]) == (404, "unknown_node")


def test_a_roll_moves_proves_and_says_so(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    csrf = log_in(fleet)
    said = steps(fleet, csrf, "n1/roll", image="another/image")
    assert said == [
        "n1 moves from an/image to another/image",
        "n1: its selftest passed",
        "n1 runs another/image",
    ]
    assert [node.image for node in two] == ["another/image", "an/image"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("n1/roll", {}, 400),
        ("n1/roll", {"image": "x", "pool": "nope"}, 404),
        ("n9/roll", {"image": "x"}, 404),
        ("n1/rotate", {}, 400),
        ("n1/rotate", {"url": "no address"}, 400),
        ("n9/rotate", {"url": "http://127.0.0.1:1"}, 404),
        ("n9/selftest", {}, 404),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_done(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode], path: str, body: dict[str, object], status: int
) -> None:
    csrf = log_in(fleet)
    assert act(fleet, csrf, path, **body)[0] == status
    assert [node.image for node in two] == ["an/image", "an/image"]
    assert sorted(fleet.worker.registry.all()) == ["n1", "n2"]


def test_a_node_is_not_rotated_onto_itself(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    csrf = log_in(fleet)
    status, refusal = act(fleet, csrf, "n1/rotate", url=two[0].url)
    assert status == 400
    assert "name another address" in str(refusal["message"])


@pytest.mark.parametrize("path", ["/dashboard/nodes", "/dashboard/say", "/dashboard/sessions/aaaaaaaa/end"])
def test_every_change_needs_the_session_and_the_pages_token(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode], path: str
) -> None:
    assert fleet.web.post(path, json={}).status_code == 401
    log_in(fleet)
    assert fleet.web.post(path, json={}).status_code == 403
    assert not any(node.said for node in two)


def test_events_are_filtered_by_node_and_time(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    csrf = log_in(fleet)
    assert len(two) == 2
    act(fleet, csrf, "n1/drain", reason="disk")
    everything = fleet.admin("GET", "/api/events").get_json()["events"]
    newest = int(everything[-1]["at"]) + 1
    for query, expected in (
        ("?node=n1", {"n1"}),
        (f"?node=n2&until={newest}", {"n2"}),
        (f"?from={newest + 60}", set()),
        ("?until=1", set()),
    ):
        for path in ("/dashboard/fleet.json", "/api/events"):
            shown = fleet.admin("GET", path + query).get_json()["events"]
            assert {event["node"] for event in shown} == expected
    assert fleet.admin("GET", "/api/events?until=soon").status_code == 400
