"""Tests of claims: each slot at most once, none lost, the same ticket the same sandbox."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from node_agent.errors import UnknownSandbox
from node_agent.pools.abandoned import Abandoned
from node_agent.pools.counters import total
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import Bench, make_bench, one_bench
from tmpnb_common.claims import Refusal
from tmpnb_common.wire import DEFAULT_POOL

TICKET = "a-ticket-0123456789-0123456789"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench() as bench:
        bench.fill()
        yield bench


def claim(bench: Bench, ticket: str | None = None) -> Sandbox:
    claimed = bench.claims.claim(DEFAULT_POOL, ticket)
    assert isinstance(claimed, Sandbox), claimed
    return claimed


def attempt(bench: Bench, attempt: str) -> Sandbox:
    claimed = bench.claims.claim(DEFAULT_POOL, TICKET, attempt)
    assert isinstance(claimed, Sandbox), claimed
    return claimed


def refused(bench: Bench, pool: str = DEFAULT_POOL) -> str:
    refusal = bench.claims.claim(pool)
    assert isinstance(refusal, Refusal), refusal
    return refusal.status


def test_a_claim_gets_the_oldest_ready_sandbox_where_nginx_finds_it(bench: Bench) -> None:
    oldest = bench.table.all()[0]
    claimed = claim(bench)
    assert claimed.name == oldest.name
    assert claimed.state == "claimed"
    assert (bench.run_dir / "user" / claimed.key / "jupyter.sock").exists()
    assert bench.stats().available == 2
    assert bench.stats().claimed == 1


def test_more_claims_than_slots_get_each_slot_once_and_no_slot_is_lost(bench: Bench) -> None:
    bench.draining.clear()
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda _: bench.claims.claim(DEFAULT_POOL), range(40)))
    names = [answer.name for answer in answers if isinstance(answer, Sandbox)]
    assert len(names) == len(set(names)) == 3
    assert bench.stats().claimed == 3
    assert (total(bench.counters.claims), total(bench.counters.refusals)) == (3, 37)


def test_the_same_ticket_gets_the_same_sandbox(bench: Bench) -> None:
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: claim(bench, TICKET).name, range(20)))
    assert len(set(answers)) == 1
    assert bench.stats().claimed == 1


def test_the_same_ticket_gets_the_same_sandbox_after_a_restart_and_while_draining(bench: Bench) -> None:
    name = claim(bench, TICKET).name
    successor = make_bench(bench.run_dir, bench.engine, bench.clock)
    try:
        successor.reconciler.tick(bench.clock())
        successor.draining.set()
        assert claim(successor, TICKET).name == name
    finally:
        successor.close()


def test_a_claim_that_nobody_waits_for_any_more_is_taken_back(bench: Bench) -> None:
    claimed = attempt(bench, "attempt-1")
    assert bench.claims.abandon(["attempt-1"]) == 1
    assert (bench.stats().available, bench.stats().claimed) == (3, 0)
    assert not (bench.run_dir / "user" / claimed.key).exists(), "nginx finds it no more"
    assert bench.claims.abandon(["attempt-1"]) == 0, "told twice is told once"
    again = claim(bench, TICKET)
    assert (again.name, again.state) == (claimed.name, "claimed"), "the slot is of use at once"


def test_a_claim_that_arrives_after_it_was_given_up_gets_nothing(bench: Bench) -> None:
    assert bench.claims.abandon(["attempt-1"]) == 0
    refusal = bench.claims.claim(DEFAULT_POOL, TICKET, "attempt-1")
    assert isinstance(refusal, Refusal)
    assert refusal.status == "abandoned"
    assert attempt(bench, "attempt-2").state == "claimed", "the visitor may ask anew"


def test_what_a_later_attempt_with_the_same_ticket_relies_on_is_not_taken_back(bench: Bench) -> None:
    first, second = attempt(bench, "attempt-1"), attempt(bench, "attempt-2")
    assert first.name == second.name
    assert bench.claims.abandon(["attempt-1"]) == 0
    assert bench.stats().claimed == 1


def test_a_sandbox_that_somebody_came_into_is_not_taken_back(bench: Bench) -> None:
    claimed = attempt(bench, "attempt-1")
    (bench.run_dir / "seen" / claimed.name).touch()  # as nginx does
    assert bench.claims.abandon(["attempt-1"]) == 0
    assert bench.stats().claimed == 1


def test_claims_without_an_attempt_cannot_be_given_up(bench: Bench) -> None:
    claim(bench)
    claim(bench, TICKET)
    assert bench.claims.abandon([""]) == 0
    assert claim(bench).state == "claimed"
    assert bench.stats().claimed == 3


def test_only_so_many_abandoned_claims_are_remembered() -> None:
    abandoned = Abandoned(kept=2)
    abandoned.add(["a", "b"])
    abandoned.add(["c"])
    assert [attempt in abandoned for attempt in "abc"] == [False, True, True]


def test_a_ticket_whose_sandbox_died_gets_a_new_one(bench: Bench) -> None:
    first = claim(bench, TICKET)
    bench.engine.die(first.name)
    assert claim(bench, TICKET).name != first.name


def test_a_ticket_whose_sandbox_is_being_ended_gets_a_new_one(bench: Bench) -> None:
    first = claim(bench, TICKET)
    assert bench.table.end(first.name, "operator")
    assert claim(bench, TICKET).name != first.name


def test_a_dead_sandbox_is_never_handed_out(bench: Bench) -> None:
    dead, *living = [sandbox.name for sandbox in bench.table.all()]
    bench.engine.die(dead)
    assert claim(bench).name in living
    assert bench.table.get(dead).state == "ending"


def test_a_sandbox_whose_directory_vanished_is_never_handed_out(bench: Bench) -> None:
    gone, *living = bench.table.all()
    shutil.rmtree(bench.run_dir / "ready" / gone.key)
    assert claim(bench).name in [sandbox.name for sandbox in living]


def test_a_refusal_says_starting_while_something_will_be_ready_and_full_when_not(bench: Bench) -> None:
    bench.engine.silent = True
    for _ in range(3):
        claim(bench)
    assert refused(bench) == "full"
    bench.table.end(bench.table.all()[0].name, "operator")
    bench.settle(lambda: bench.stats().starting == 1)
    assert refused(bench) == "starting"


def test_a_draining_node_refuses_and_shows_nothing_available(bench: Bench) -> None:
    bench.draining.set()
    assert refused(bench) == "draining"
    assert (bench.stats().available, bench.stats().startable) == (0, 0)
    bench.draining.clear()
    assert bench.stats().available == 3


def test_an_unknown_pool_is_refused(bench: Bench) -> None:
    assert refused(bench, "gpu") == "unknown_pool"


def test_ending_an_unknown_sandbox_is_an_error_and_twice_is_not(bench: Bench) -> None:
    name = claim(bench).name
    assert bench.table.end(name, "operator")
    assert not bench.table.end(name, "operator")
    with pytest.raises(UnknownSandbox):
        bench.table.end("neverwas", "operator")


def test_an_ended_sandbox_is_gone_for_nginx_at_once(bench: Bench) -> None:
    claimed = claim(bench)
    bench.table.end(claimed.name, "operator")
    assert not (bench.run_dir / "user" / claimed.key).exists()


def test_emptying_the_pool_ends_the_ready_ones_only_and_fresh_ones_follow(bench: Bench) -> None:
    visitor = claim(bench)
    before = {sandbox.name for sandbox in bench.table.all()}
    assert bench.pools.drain_ready() == 2
    bench.settle(lambda: bench.stats().available == 2)
    assert {sandbox.name for sandbox in bench.table.all()} & before == {visitor.name}
    assert bench.table.get(visitor.name).state == "claimed"


def test_no_two_sandboxes_bear_one_name(bench: Bench) -> None:
    known = bench.table.all()[0]
    assert not bench.table.register(replace(known, key=known.name + "z" * 26, state="starting"))
    assert bench.table.get(known.name) == known


def test_a_ticket_of_a_sandbox_that_nobody_adopted_yet_gets_another_one(bench: Bench) -> None:
    """Its directory is there, and the engine has not said yet whether it lives."""
    unknown = bench.run_dir / "user" / ("unknownx" + "2" * 26)
    unknown.mkdir()
    mark = bench.run_dir / "tickets" / hashlib.sha256(TICKET.encode()).hexdigest()
    mark.symlink_to(Path("..") / "user" / unknown.name)
    claimed = claim(bench, TICKET)
    assert claim(bench, TICKET).name == claimed.name
