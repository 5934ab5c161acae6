"""What one worker knows, and how its doubts come and go."""

from __future__ import annotations

from redirector.memory.view import View
from redirector.model.board import Board
from redirector.model.nodes import Seen
from tests.support.fleet_values import a_node, board, pools, seen, stats


def a_view(**entries: Seen) -> View:
    view = View()
    view.take({name: a_node(name) for name in entries}, board(**entries))
    return view


def test_before_the_first_news_nothing_is_known() -> None:
    view = View()
    assert not view.known
    assert view.pool().ranking.first == ()


def test_a_doubted_node_comes_last_at_once() -> None:
    view = a_view(n1=seen(), n2=seen())
    room = view.pool()
    view.doubt("n1")
    assert (room.ranking.first, room.ranking.last) == (("n2",), ("n1",))


def test_a_doubt_outlives_a_poll_that_may_have_begun_before_it() -> None:
    view = a_view(n1=seen(polls=7))
    view.doubt("n1")
    view.take(board=board(n1=seen(polls=8)))
    assert view.pool().ranking.last == ("n1",)
    view.take(board=board(n1=seen(polls=9)))
    assert view.pool().ranking.first == ("n1",)


def test_a_restart_of_the_node_ends_a_doubt() -> None:
    view = a_view(n1=seen(polls=7))
    view.doubt("n1")
    view.take(board=board(n1=seen(said=stats(boot_id="boot-2"), polls=8)))
    assert view.pool().ranking.first == ("n1",)


def test_a_claim_that_works_ends_a_doubt() -> None:
    view = a_view(n1=seen())
    room = view.pool()
    view.doubt("n1")
    view.trust("n1")
    assert room.ranking.first == ("n1",)
    view.trust("n1")
    assert room.ranking.first == ("n1",)


def test_new_numbers_reach_the_count() -> None:
    view = a_view(n1=seen(said=stats(3), asked_at=1.0))
    room = view.pool()
    assert room.tally.free == {"n1": 3}
    view.take(board=board(n1=seen(said=stats(1), asked_at=2.0)))
    assert room.tally.free == {"n1": 1}


def test_a_node_that_was_removed_is_no_longer_ranked() -> None:
    view = a_view(n1=seen(), n2=seen())
    room = view.pool()
    view.take({"n2": a_node("n2")})
    assert room.ranking.first == ("n2",)


def test_pools_that_visitors_make_up_are_not_kept() -> None:
    view = a_view(n1=seen(said=stats(pools=pools(default=1, gpu=1))))
    assert view.pool("gpu") is view.pool("gpu")
    assert view.pool("made-up") is not view.pool("made-up")
    assert view.pool("made-up").ranking.first == ()


def test_a_board_without_a_node_leaves_it_joining() -> None:
    view = a_view(n1=seen())
    room = view.pool()
    view.take(board=Board())
    assert room.ranking.joining
