"""What one worker knows, and how its doubts come and go."""

from __future__ import annotations

from redirector.memory.fleet_state import FleetState
from redirector.model.board import Board
from redirector.model.nodes import Seen
from tests.support.fleet_values import a_node, board, pools, seen, stats


def a_view(**entries: Seen) -> FleetState:
    fleet_state = FleetState()
    fleet_state.take({name: a_node(name) for name in entries}, board(**entries))
    return fleet_state


def test_before_the_first_news_nothing_is_known() -> None:
    fleet_state = FleetState()
    assert not fleet_state.known
    assert fleet_state.pool().ranking.first == ()


def test_a_doubted_node_comes_last_at_once() -> None:
    fleet_state = a_view(n1=seen(), n2=seen())
    room = fleet_state.pool()
    fleet_state.mark_suspect("n1")
    assert (room.ranking.first, room.ranking.last) == (("n2",), ("n1",))


def test_a_doubt_outlives_a_poll_that_may_have_begun_before_it() -> None:
    fleet_state = a_view(n1=seen(polls=7))
    fleet_state.mark_suspect("n1")
    fleet_state.take(board=board(n1=seen(polls=8)))
    assert fleet_state.pool().ranking.last == ("n1",)
    fleet_state.take(board=board(n1=seen(polls=9)))
    assert fleet_state.pool().ranking.first == ("n1",)


def test_a_restart_of_the_node_ends_a_doubt() -> None:
    fleet_state = a_view(n1=seen(polls=7))
    fleet_state.mark_suspect("n1")
    fleet_state.take(board=board(n1=seen(said=stats(boot_id="boot-2"), polls=8)))
    assert fleet_state.pool().ranking.first == ("n1",)


def test_a_claim_that_works_ends_a_doubt() -> None:
    fleet_state = a_view(n1=seen())
    room = fleet_state.pool()
    fleet_state.mark_suspect("n1")
    fleet_state.clear_suspect("n1")
    assert room.ranking.first == ("n1",)
    fleet_state.clear_suspect("n1")
    assert room.ranking.first == ("n1",)


def test_new_numbers_reach_the_count() -> None:
    fleet_state = a_view(n1=seen(said=stats(3), asked_at=1.0))
    room = fleet_state.pool()
    assert room.free_slots.free == {"n1": 3}
    fleet_state.take(board=board(n1=seen(said=stats(1), asked_at=2.0)))
    assert room.free_slots.free == {"n1": 1}


def test_a_node_that_was_removed_is_no_longer_ranked() -> None:
    fleet_state = a_view(n1=seen(), n2=seen())
    room = fleet_state.pool()
    fleet_state.take({"n2": a_node("n2")})
    assert room.ranking.first == ("n2",)


def test_pools_that_visitors_make_up_are_not_kept() -> None:
    fleet_state = a_view(n1=seen(said=stats(pools=pools(default=1, gpu=1))))
    assert fleet_state.pool("gpu") is fleet_state.pool("gpu")
    assert fleet_state.pool("made-up") is not fleet_state.pool("made-up")
    assert fleet_state.pool("made-up").ranking.first == ()


def test_a_board_without_a_node_leaves_it_joining() -> None:
    fleet_state = a_view(n1=seen())
    room = fleet_state.pool()
    fleet_state.take(board=Board())
    assert room.ranking.joining
