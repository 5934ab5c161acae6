"""The board: what is published, what it warns of, and when the fault is ours."""

from __future__ import annotations

import json

import pytest

from redirector.model.board import Board, alarms, parse_seen, partition_suspected, seen_text
from redirector.model.nodes import Health, PoolOrder, Seen
from tests.support.fleet_values import a_node, board, pools, seen, stats
from tmpnb_common.wire import NodeStats, PoolStats


def test_a_node_that_was_never_polled_is_joining() -> None:
    assert Board().of("n1").health is Health.JOINING


def test_what_was_published_is_read_back_the_same() -> None:
    entries = {
        "n1": seen(said=stats(2, pools=pools(default=2, gpu=1)), asked_at=17.5, intent_error="no"),
        "n2": Seen(),
        "old": seen(Health.SUSPECT, NodeStats(3, 5), reason="late", silent=True, failures=1, successes_needed=1),
    }
    assert parse_seen(seen_text(Board(seen=entries))) == entries


def test_each_edition_tells_what_is_new_in_it_and_forgets_who_left() -> None:
    first = {"n1": seen(), "n2": seen(), 'quo"ted': seen()}
    assert parse_seen(seen_text(Board(seen=first))) == first
    second = {"n1": first["n1"], "n2": seen(Health.DOWN, reason="gone")}
    assert parse_seen(seen_text(Board(seen=second))) == second
    assert parse_seen(seen_text(Board())) == {}


def test_an_entry_of_another_version_that_makes_no_sense_counts_as_never_seen() -> None:
    document = json.loads(seen_text(board(n1=seen(), n2=seen(), n3=seen())))
    document["n1"]["health"] = "levitating"
    document["n2"]["stats"] = {"available": -1}
    document["n3"]["something_new"] = 1
    assert list(parse_seen(json.dumps(document))) == ["n3"]


def test_most_of_the_fleet_silent_at_once_means_that_we_are_cut_off() -> None:
    silent, well, down = seen(silent=True), seen(), seen(Health.DOWN, silent=True)
    assert partition_suspected({"n1": silent, "n2": silent, "n3": well})
    assert not partition_suspected({"n1": silent, "n2": well}), "half is not most"
    assert not partition_suspected({"n1": silent, "n2": well, "n3": down, "n4": down}), (
        "what went down before does not count"
    )
    assert not partition_suspected({"n1": silent}), "a fleet of one that is silent is a silent node"


def test_a_healthy_fleet_raises_no_alarm() -> None:
    assert alarms({"n1": a_node()}, board(n1=seen()), now=1.0, stale_after=5.0) == []


def test_alarms_name_the_node_and_the_reason() -> None:
    sick = stats(pools={"default": PoolStats(0, 5, problem="exit code 1"), "r": PoolStats(5, 5, unfit="no kernel")})
    found = alarms(
        {name: a_node(name) for name in ("n1", "n2", "n3")},
        board(
            n1=seen(Health.DOWN, reason="connection refused"),
            n2=seen(intent_error="it does not accept its token"),
            n3=seen(said=sick),
        ),
        now=1.0,
        stale_after=5.0,
    )
    assert found == [
        "n1 is down: connection refused",
        "n2 does not take over its intent: it does not accept its token",
        "n3 cannot start sandboxes of pool default: exit code 1",
        "n3 gets visitors of pool r only where nothing else is free: no kernel",
    ]


def test_a_stale_board_is_an_alarm_unless_there_is_nobody_to_poll() -> None:
    nodes = {"n1": a_node()}
    assert alarms(nodes, board(n1=seen()), now=61.0, stale_after=5.0) == ["nobody has polled the nodes for 60 s"]
    assert alarms(nodes, Board(), now=60.0, stale_after=5.0) == ["nobody has polled the nodes yet"]
    assert alarms({}, Board(), now=60.0, stale_after=5.0) == []


def test_being_cut_off_is_an_alarm() -> None:
    silent = seen(silent=True)
    found = alarms({}, board(n1=silent, n2=silent), now=1.0, stale_after=5.0)
    assert found == ["more than half of the nodes are silent: this host is probably cut off from them"]


@pytest.mark.parametrize(("asked_at", "count"), [(99.0, 0), (101.0, 1)])
def test_a_poll_from_before_a_move_says_nothing_about_it(asked_at: float, count: int) -> None:
    known = board(n1=seen(said=stats(pools={"default": PoolStats(1, 1, image="old")}), asked_at=asked_at))
    for order in (PoolOrder("new", moved_at=100.0), PoolOrder(capacity=2, moved_at=100.0)):
        orders = {"n1": {"default": order}}
        assert len(alarms({"n1": a_node()}, known, now=1.0, stale_after=1000.0, orders=orders)) == count
