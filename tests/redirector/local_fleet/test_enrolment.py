from __future__ import annotations

from typing import Any

import msgspec

from redirector.admin_api.views import NodeView
from redirector.local_fleet.enrolment import Register, Remove, Warmth, steps, warmth
from tests.redirector.cli.fake_redirector import node

N1, N2 = "http://127.0.0.1:8101", "http://127.0.0.1:8102"


def view(name: str, port: int, **changes: Any) -> NodeView:
    return msgspec.convert(node(name, port, **changes), NodeView)


def test_all_nodes_of_a_first_run_are_enrolled() -> None:
    assert steps({"n1": N1, "n2": N2}, [], []) == [Register("n1", "n1"), Register("n2", "n2")]


def test_when_the_same_fleet_comes_again_its_tokens_are_proved_and_intents_left_alone() -> None:
    registered = [view("n1", 8101, intent="draining"), view("n2", 8102)]
    assert steps({"n1": N1, "n2": N2}, ["n1", "n2"], registered) == [Register("n1", "n1"), Register("n2", "n2")]


def test_a_node_that_is_no_longer_asked_for_is_forgotten() -> None:
    assert steps({"n1": N1}, ["n1", "n2"], [view("n1", 8101), view("n2", 8102)]) == [Remove("n2"), Register("n1", "n1")]


def test_a_node_that_moved_to_another_port_keeps_its_intent() -> None:
    before = view("n1", 9101, intent="draining", intent_reason="kernel update")
    assert steps({"n1": N1}, ["n1"], [before]) == [Remove("n1"), Register("n1", "n1", drain="kernel update")]


def test_a_moved_node_that_was_active_stays_so() -> None:
    assert steps({"n1": N1}, ["n1"], [view("n1", 9101)]) == [Remove("n1"), Register("n1", "n1")]


def test_a_node_keeps_the_name_that_an_operator_gave_it() -> None:
    assert steps({"n1": N1}, ["n1"], [view("front", 8101)]) == [Register("n1", "front")]


def test_nodes_from_elsewhere_are_left_alone_even_if_their_name_is_like_ours() -> None:
    elsewhere = view("n2", 0, url="https://n2.example.org")
    assert steps({"n1": N1}, ["n1", "n2"], [view("n1", 8101), elsewhere]) == [Register("n1", "n1")]
    assert steps({"n1": N1}, ["n1"], [view("n1", 8101), view("n7", 8107)]) == [Register("n1", "n1")]


def test_pools_are_warm_when_every_node_has_what_was_asked_for() -> None:
    nodes = [view("n1", 8101, available=4), view("n2", 8102, available=1)]
    assert warmth(nodes, [N1, N2], 3, 60) == Warmth(ready=4, wanted=6)
    assert warmth([view("n1", 8101, available=3)], [N1], 3, 60).complete


def test_visitors_who_come_while_pools_warm_do_not_hold_them_up() -> None:
    assert warmth([view("n1", 8101, available=1, claimed=2)], [N1], 3, 60).complete


def test_a_draining_node_is_not_waited_for() -> None:
    assert warmth([view("n1", 8101, available=0, intent="draining")], [N1], 3, 60) == Warmth(0, 0)


def test_a_node_that_is_not_in_the_answer_is_waited_for() -> None:
    assert warmth([], [N1], 3, 60) == Warmth(0, 3)


def test_the_reason_why_sandboxes_do_not_start_is_passed_on() -> None:
    pools = {"default": {"available": 0, "capacity": 4, "problem": "no space left"}}
    assert warmth([view("n1", 8101, available=0, pools=pools)], [N1], 3, 60).problem == "no space left"


def test_what_the_fleet_remembers_from_an_earlier_run_does_not_count() -> None:
    remembered = view("n1", 8101, available=3, stats_age_seconds=5.0)
    assert warmth([remembered], [N1], 3, run_seconds=2) == Warmth(0, 3)
    assert warmth([remembered], [N1], 3, run_seconds=10).complete


def test_what_is_wrong_with_a_node_that_is_waited_for_is_passed_on() -> None:
    down = view("n1", 8101, available=0, health="down", reason="another machine answers at its address")
    assert warmth([down], [N1], 3, 60).problem == "n1: another machine answers at its address"
