"""What operators may do, and what they are kept from doing by accident."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from redirector.errors import (
    BadRequestError,
    ChangedError,
    DuplicateNameError,
    DuplicateUrlError,
    FleetError,
    HasSessionsError,
    LastNodeError,
    ProbeError,
    UnknownNodeError,
)
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from tests.support.fleet_node import FakeNode, Mood
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

ANN = OperatorDecision(by="ann", reason="because")


@pytest.fixture
def control(fleet: SteppedWorker) -> Control:
    return fleet.worker.control


def addition(node: FakeNode, **fields: str) -> Addition:
    return Addition(**{"url": node.url, "token": node.token, **fields})


def test_a_node_that_proves_to_be_one_is_added_under_its_own_name(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1", generation=6)
    row, new = control.add(addition(node), ANN)
    assert new
    assert (row.name, row.node_id, row.intent, row.intent_by) == ("n1", node.node_id, "active", "ann")
    assert row.generation == node.generation == 7, "above what an earlier fleet told it, and told at once"


def test_adding_it_again_changes_nothing(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    first, _ = control.add(addition(node), ANN)
    asked = len(node.asked)
    for again in (addition(node), addition(node, name="n1"), Addition(f"{node.url}/")):
        assert control.add(again, ANN) == (first, False)
    assert len(node.asked) == asked


def test_adding_it_again_with_another_token_proves_and_keeps_that(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    control.add(addition(node), ANN)
    node.token = "rotated"
    row, new = control.add(addition(node), ANN)
    assert (row.token, new) == ("rotated", False)
    with pytest.raises(ProbeError):
        control.add(addition(node, token="wrong"), ANN)


def test_a_url_is_there_once_however_it_is_spelt(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    control.add(addition(node), ANN)
    with pytest.raises(DuplicateUrlError) as caught:
        control.add(addition(node, url=f"{node.url.replace('http', 'HTTP')}/", name="n2"), ANN)
    assert caught.value.name == "n1"


def test_one_node_under_two_addresses_is_there_once(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    control.add(addition(node), ANN)
    with pytest.raises(DuplicateUrlError):
        control.add(addition(node, url=node.url.replace("127.0.0.1", "localhost")), ANN)


def test_a_name_belongs_to_one_node(nodes: FakeNodes, control: Control) -> None:
    control.add(addition(nodes.add("n1")), ANN)
    with pytest.raises(DuplicateNameError):
        control.add(addition(nodes.add("n2"), name="n1"), ANN)


def test_a_second_node_that_calls_itself_the_same_gets_a_name_from_its_url(nodes: FakeNodes, control: Control) -> None:
    control.add(addition(nodes.add("n1")), ANN)
    other = nodes.add("also", protocol=1)
    other.name = "n1"
    row, _ = control.add(addition(other), ANN)
    assert row.name == f"127-0-0-1-{other.port}"


def test_taken_names_are_counted_on(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    made = f"127-0-0-1-{node.port}"
    control.add(addition(nodes.add("x"), name=made), ANN)
    control.add(addition(nodes.add("y"), name=f"{made}-2"), ANN)
    node.name = "Not A Name"
    assert control.add(addition(node), ANN)[0].name == f"{made}-3"


@pytest.mark.silence
@pytest.mark.parametrize(
    ("mood", "code"),
    [
        ("garbled", "not_a_node"),
        ("failing", "not_a_node"),
        ("endless", "not_a_node"),
        ("hanging", "unreachable"),
        ("orphaned", "unreachable"),
    ],
)
def test_what_does_not_answer_as_a_node_is_refused(nodes: FakeNodes, control: Control, mood: Mood, code: str) -> None:
    node = nodes.add("n1", mood=mood)
    with pytest.raises(ProbeError) as caught:
        control.add(addition(node), ANN)
    assert caught.value.code == code
    assert control.nodes()[0] == {}


def test_a_dead_address_is_unreachable(nodes: FakeNodes, control: Control) -> None:
    node = nodes.add("n1")
    nodes.die(node)
    with pytest.raises(ProbeError) as caught:
        control.add(addition(node), ANN)
    assert caught.value.code == "unreachable"
    assert "connection refused" in str(caught.value)


@pytest.mark.parametrize("token", ["", "wrong"])
def test_our_node_needs_its_token(nodes: FakeNodes, control: Control, token: str) -> None:
    with pytest.raises(ProbeError) as caught:
        control.add(addition(nodes.add("n1"), token=token), ANN)
    assert caught.value.code == "bad_token"
    assert "a-node-token" not in str(caught.value)


def test_an_original_tmpnb_needs_none(nodes: FakeNodes, control: Control) -> None:
    row, new = control.add(Addition(nodes.add("old", protocol=0).url, "old"), ANN)
    assert new
    assert row.node_id == ""


@pytest.mark.parametrize("fields", [{"url": "node1"}, {"name": "--all"}, {"control_url": "ftp://x"}])
def test_nonsense_is_refused_before_anything_is_asked(
    nodes: FakeNodes, control: Control, fields: dict[str, str]
) -> None:
    node = nodes.add("n1")
    with pytest.raises(BadRequestError):
        control.add(addition(node, **fields), ANN)
    assert node.asked == []


def test_control_traffic_goes_to_the_control_address(nodes: FakeNodes, control: Control, fleet: SteppedWorker) -> None:
    public, private = nodes.add("public"), nodes.add("n1", ready=1)
    public.node_id = private.node_id  # the same node's, by another way
    control.add(addition(private, url=public.url, control_url=private.url), ANN)
    fleet.tick()
    answer = fleet.visit()
    assert answer.headers["Location"].startswith(public.url), "visitors go to the public address"
    assert [(asked.path, asked.headers.get("authorization")) for asked in public.asked] == [("/stats", None)]
    assert private.spawns()


def test_draining_is_told_to_the_node_at_once_and_written_down(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2"))
    row, changed = control.intend("n1", "draining", ANN)
    assert changed
    assert (row.intent, row.intent_reason, row.intent_by, row.version) == ("draining", "because", "ann", 2)
    assert (node.fleet_state, node.generation) == ("draining", row.generation)
    event = fleet.admin("GET", "/api/events").get_json()["events"][-1]
    assert (event["kind"], event["node"], event["by"], event["reason"]) == ("drain", "n1", "ann", "because")


def test_draining_what_drains_already_changes_nothing(nodes: FakeNodes, fleet: SteppedWorker, control: Control) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    control.intend("n1", "draining", ANN)
    row, changed = control.intend("n1", "draining", OperatorDecision(reason="another"))
    assert not changed
    assert row.intent_reason == "because"


def test_a_drain_is_cancelled_by_resuming(nodes: FakeNodes, fleet: SteppedWorker, control: Control) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2"))
    control.intend("n1", "draining", ANN)
    row, changed = control.intend("n1", "active", ANN)
    assert (row.intent, changed, node.fleet_state) == ("active", True, "active")


def test_a_node_that_is_away_is_drained_in_the_registry_and_told_when_it_is_back(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2"))
    nodes.die(node)
    control.intend("n1", "draining", ANN)
    assert node.fleet_state == "active"
    nodes.start(node)
    fleet.tick()
    assert node.fleet_state == "draining"


def test_an_original_tmpnb_drains_by_the_fleets_intent_alone(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    old = nodes.add("old", protocol=0)
    fleet.add(old, nodes.add("n1"))
    asked = len(old.asked)
    control.intend("old", "draining", ANN)
    assert {each.method for each in old.asked[asked:]} == {"GET"}, "how much it has free, and nothing else"
    assert fleet.worker.fleet_state.pool().ranking.first == ("n1",)


def test_the_last_node_that_takes_visitors_is_kept_from_draining_and_removal(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2", own_state="draining"))
    with pytest.raises(LastNodeError):
        control.intend("n1", "draining", ANN)
    with pytest.raises(LastNodeError):
        control.remove("n1", ANN)
    assert control.intend("n1", "draining", OperatorDecision(force=True))[1]


def test_two_operators_cannot_drain_the_last_two_nodes_at_once(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))

    def drain(name: str) -> str:
        try:
            control.intend(name, "draining", ANN)
        except LastNodeError:
            return "refused"
        return "done"

    with ThreadPoolExecutor(2) as operators:
        assert sorted(operators.map(drain, ["n1", "n2"])) == ["done", "refused"]


def test_who_saw_an_older_version_is_told_to_look_again(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    control.intend("n1", "draining", OperatorDecision(version=1))
    with pytest.raises(ChangedError) as caught:
        control.intend("n1", "active", OperatorDecision(version=1))
    assert caught.value.version == 2
    with pytest.raises(ChangedError):
        control.remove("n1", OperatorDecision(version=1))


def test_a_node_with_sessions_is_not_removed_without_force(
    nodes: FakeNodes, fleet: SteppedWorker, control: Control
) -> None:
    node = nodes.add("n1", ready=1)
    fleet.add(node, nodes.add("n2", ready=0))
    fleet.place()
    with pytest.raises(HasSessionsError) as caught:
        control.remove("n1", ANN)
    assert caught.value.claimed == 1, "as it is now, not as it was at the last poll"
    nodes.die(node)
    fleet.tick()
    control.remove("n1", OperatorDecision(force=True))
    assert list(control.nodes()[0]) == ["n2"]


def test_a_removed_node_gets_no_visitor_any_more(nodes: FakeNodes, fleet: SteppedWorker, control: Control) -> None:
    node = nodes.add("n1", ready=9, capacity=9)
    fleet.add(node, nodes.add("n2", ready=1))
    control.remove("n1", ANN)
    fleet.place()
    assert node.spawns() == []
    fleet.tick()
    assert list(fleet.board.seen) == ["n2"]


@pytest.mark.parametrize(
    "act",
    [
        lambda control: control.intend("nobody", "draining", ANN),
        lambda control: control.intend("nobody", "active", ANN),
        lambda control: control.remove("nobody", ANN),
    ],
    ids=["drain", "resume", "remove"],
)
def test_an_unknown_name_is_said_to_be_unknown(control: Control, act: Callable[[Control], object]) -> None:
    with pytest.raises(UnknownNodeError):
        act(control)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in FleetError.__subclasses__() if kind is not ProbeError]
    assert len(codes) == len(set(codes))
    assert "error" not in codes
