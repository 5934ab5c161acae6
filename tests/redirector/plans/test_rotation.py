"""What a rotation does next, and which nodes a roll moves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from redirector.admin_api.views import NodeView
from redirector.model.events import Event
from redirector.plans.rolling import Move, arrived, plan, replaced, stuck
from redirector.plans.rotation import Situation, addition_reason, next_step, was_added_for, was_removed
from redirector.plans.rotation import stuck as never_warm
from tests.redirector.cli.fake_redirector import node


def view(name: str = "n1", *, image: str = "old", before: str = "", problem: str = "", **changes: Any) -> NodeView:
    pool = {"available": 4, "capacity": 4, "claimed": 0, "problem": problem, "image": image, "image_before": before}
    pool["stale"] = changes.pop("stale", 0)
    return msgspec.convert(node(name, **{"pools": {"default": pool}, **changes}), NodeView)


DRAINING: dict[str, Any] = {"intent": "draining", "eligible": False}


@pytest.mark.parametrize(
    ("old", "new", "tested", "step"),
    [
        (view(), None, False, "add"),
        (view(), view(eligible=False, health="joining"), False, "warm"),
        (view(), view(available=0), False, "warm"),
        (view(), view(starting=2), False, "warm"),
        (view(), view(), False, "selftest"),
        (view(), view(), True, "drain"),
        (view(**DRAINING, claimed=2), view(), False, "selftest"),
        (view(**DRAINING, claimed=2), view(claimed=1), False, "empty"),
        (view(**DRAINING, claimed=2), view(), True, "empty"),
        (view(**DRAINING, claimed=2), view(eligible=False, health="down"), False, "warm"),
        (view(**DRAINING, drained=True), view(), True, "remove"),
        (None, view(), False, "done"),
    ],
)
def test_each_step_follows_from_what_is_there(
    old: NodeView | None, new: NodeView | None, *, tested: bool, step: str
) -> None:
    assert next_step(Situation(old, new, tested, removed=True, agreed=True)) == step


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (Situation(None, view()), "unknown"),
        (Situation(None, None, removed=True), "unknown"),
        (Situation(view(), view()), "confirm"),
        (Situation(view(**DRAINING, drained=True), view(claimed=1)), "confirm"),
        (Situation(view(), None), "add"),
    ],
)
def test_nothing_is_taken_for_done_or_meant_that_no_history_and_nobody_says(situation: Situation, step: str) -> None:
    assert next_step(situation) == step


def test_the_history_says_what_a_node_was_added_for() -> None:
    meant, other = Event(1.0, "node_added", reason=addition_reason("n1")), Event(2.0, "node_added", reason="spare")
    drained = Event(3.0, "drain", reason=addition_reason("n1"))
    assert was_added_for("n1", [other, meant, drained])
    assert not was_added_for("n1", [meant, other]), "another node had that name before"
    assert not was_added_for("n10", [meant])
    assert not was_added_for("n1", [drained])
    assert was_removed([other, Event(4.0, "node_removed")])
    assert not was_removed([other, drained])


def test_a_new_node_that_cannot_become_warm_is_told_from_one_that_needs_time() -> None:
    assert never_warm(view(available=0)) == ""
    assert "no such image" in never_warm(view(problem="no such image"))
    assert "draining" in never_warm(view(**DRAINING))


def test_a_roll_moves_every_node_that_has_the_pool_and_answers() -> None:
    nodes = [view("n1"), view("n2", health="down", reason="down: silent"), view("n3", pools={})]
    made = plan(nodes, "default", "new", back=False)
    assert made.moves == (Move("n1", "new"),)
    assert dict(made.left_out) == {"n2": "is down: silent", "n3": "has no pool default"}


def test_a_roll_that_goes_on_proves_first_what_was_moved_before() -> None:
    made = plan([view("n1"), view("n2", image="new")], "default", "new", back=False)
    assert made.moves == (Move("n2", "new", there=True), Move("n1", "new"))


def test_a_roll_that_is_done_does_nothing() -> None:
    assert plan([view("n1", image="new")], "default", "new", back=False).moves == ()


def test_the_way_back_is_each_nodes_own() -> None:
    nodes = [view("n1", image="new", before="old"), view("n2", image="new", before="older"), view("n3", image="new")]
    made = plan([*nodes, view("n4")], "default", "new", back=True)
    assert made.moves == (Move("n1", "old"), Move("n2", "older"))
    assert made.left_out == (("n3", "had no image before this one"),)


def test_a_node_has_arrived_when_it_has_something_to_give() -> None:
    assert arrived(view(image="new"), "default", "new")
    assert not arrived(view(image="old"), "default", "new")
    assert not arrived(view(image="new", problem="no"), "default", "new")
    assert stuck(view(image="new", problem="no"), "default", "new") == "no"
    assert stuck(view(image="old", problem="no"), "default", "new") == "", "that is the old image's trouble"


def test_nobody_gets_a_former_image_any_more_once_its_ready_sandboxes_are_replaced() -> None:
    assert replaced(view(image="new"), "default")
    assert not replaced(view(image="new", stale=1), "default")
    assert stuck(view(image="other"), "default", "new") == "", "it may not have said yet that it has the new one"
    assert stuck(view(image="other"), "default", "new", reported=True) == "was moved to other meanwhile"
