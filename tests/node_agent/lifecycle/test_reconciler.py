"""Tests of the loop: refill, readiness, culling, adoption, healing, backing off."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from node_agent.lifecycle import reconciler
from node_agent.lifecycle.reconciler import STALLED_SECONDS, TICK_SECONDS
from node_agent.pools.counters import by_label
from node_agent.pools.culling import check_pace
from node_agent.pools.specs import PoolSpec
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import LIMITS, Bench, make_bench, one_bench
from tests.support.strangers import whole
from tests.support.waiting import wait_until
from tmpnb_common.claims import Refusal
from tmpnb_common.wire import DEFAULT_POOL


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench() as bench:
        bench.fill()
        yield bench


def claim(bench: Bench) -> Sandbox:
    claimed = bench.claims.claim(DEFAULT_POOL)
    assert isinstance(claimed, Sandbox), claimed
    return claimed


def gone(bench: Bench, sandbox: Sandbox) -> bool:
    return sandbox.name not in [each.name for each in bench.table.all()]


def successor(bench: Bench) -> Bench:
    """What the next agent on the same host would be, after its first look."""
    made = make_bench(bench.run_dir, bench.engine, bench.clock)
    made.reconciler.tick(bench.clock())
    return made


# Refill


def test_a_pool_fills_up_to_its_capacity_and_no_further(bench: Bench) -> None:
    for _ in range(3):
        bench.turn()
    assert bench.engine.started == 3
    assert len(bench.table.all()) == 3


def test_a_pool_with_less_warmth_than_capacity_refills_after_each_claim() -> None:
    with one_bench(warm=1, capacity=3) as bench:
        for claimed in range(1, 4):
            bench.settle(lambda: bench.stats().available == 1)
            claim(bench)
            assert bench.stats().claimed == claimed
        bench.turn()
        assert bench.engine.started == 3
        assert bench.stats().startable == 0


def test_a_claim_wakes_the_loop_and_does_not_wait_for_its_beat() -> None:
    with one_bench(warm=1, capacity=2) as bench:
        loop = threading.Thread(target=bench.reconciler.run)
        loop.start()
        try:
            wait_until(lambda: bench.stats().available == 1, 20, "the first sandbox")
            # The loop's clock stands still, so that no beat comes from here on.
            claim(bench)
            wait_until(lambda: bench.stats().available == 1, TICK_SECONDS * 5, "the refill")
        finally:
            bench.reconciler.stop()
            loop.join()


def test_a_refill_of_more_than_there_are_hands_does_not_wait_for_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "TICK_SECONDS", 3600.0)
    with one_bench(warm=10, capacity=10) as bench:
        loop = threading.Thread(target=bench.reconciler.run)
        loop.start()
        try:
            wait_until(lambda: bench.stats().available == 10, 20, "a full pool")
        finally:
            bench.reconciler.stop()
            loop.join()


def test_a_draining_node_starts_nothing_and_refills_when_it_takes_visitors_again(bench: Bench) -> None:
    bench.draining.set()
    ended = claim_and_end(bench)
    bench.settle(lambda: gone(bench, ended))
    bench.turn()
    assert bench.engine.started == 3
    bench.draining.clear()
    bench.fill()


def claim_and_end(bench: Bench) -> Sandbox:
    sandbox = bench.table.all()[0]
    bench.table.end(sandbox.name, "operator")
    return sandbox


# Readiness


def test_a_sandbox_is_offered_only_after_its_landing_page_answered_200(bench: Bench) -> None:
    asked = [bench.engine.jupyter(sandbox.name).requests for sandbox in bench.table.all()]
    assert all(any(path.endswith("/lab") for path in paths) for paths in asked)


def test_a_sandbox_whose_landing_page_fails_is_ended_at_its_deadline_and_the_reason_shows() -> None:
    with one_bench(warm=1, capacity=1) as bench:
        bench.engine.landing_status = 500
        bench.settle(lambda: bench.stats().starting == 1)
        bench.clock.advance(61)
        bench.settle(lambda: bool(bench.stats().problem))
        problem = bench.stats().problem
        assert "its landing page /lab answered 500 within 60 s" in problem
        assert "it said last: the last words of" in problem
        assert bench.stats().available == 0


def test_a_sandbox_that_never_listens_is_ended_at_its_deadline() -> None:
    with one_bench(warm=1, capacity=1) as bench:
        bench.engine.silent = True
        bench.settle(lambda: bench.stats().starting == 1)
        stuck = bench.table.all()[0]
        bench.clock.advance(61)
        bench.settle(lambda: gone(bench, stuck))
        assert "its socket did not appear within 60 s" in bench.stats().problem
        assert not (bench.run_dir / "ready" / stuck.key).exists()


def test_a_sandbox_that_dies_while_it_starts_fails_at_once_and_says_how() -> None:
    with one_bench(warm=1, capacity=1) as bench:
        bench.engine.silent = True
        bench.settle(lambda: bench.stats().starting == 1 and bool(bench.engine.running))
        bench.engine.die(bench.table.all()[0].name, "exit code 1")
        bench.settle(lambda: "it ended: exit code 1" in bench.stats().problem)


def test_a_sandbox_that_is_ended_while_it_starts_holds_nobody_up() -> None:
    with one_bench(warm=1, capacity=1) as bench:
        bench.engine.silent = True
        bench.settle(lambda: bench.stats().starting == 1 and bool(bench.engine.running))
        first = bench.table.all()[0]
        bench.table.end(first.name, "operator")
        bench.engine.silent = False
        bench.settle(lambda: bench.stats().available == 1)
        assert first.name not in bench.engine.running
        assert bench.stats().problem == ""


# Backing off


def test_an_image_that_fails_backs_off_and_recovers_by_itself() -> None:
    with one_bench() as bench:
        bench.engine.refuses = "no such image"
        bench.settle(lambda: bool(bench.stats().problem) and not bench.table.all())
        assert bench.stats().startable == 0, "whoever waits for it would wait in vain"
        assert "no such image" in bench.reconciler.problem()
        bench.engine.refuses = ""
        bench.turn()
        assert bench.engine.started == 0, "its pause is not over"
        bench.clock.advance(60)
        bench.fill()
        assert bench.stats().problem == ""
        assert bench.reconciler.problem() == ""


def test_a_failing_image_is_not_tried_in_a_spin() -> None:
    with one_bench() as bench:
        bench.engine.refuses = "no such image"
        bench.settle(lambda: bool(bench.stats().problem) and not bench.table.all())
        tries = by_label(bench.counters.ends)["failed"]
        for _ in range(20):
            bench.turn()
        assert by_label(bench.counters.ends)["failed"] == tries


# Culling


def after_claim(bench: Bench, sandbox: Sandbox, seconds: float) -> None:
    bench.clock.now = (sandbox.claimed_at or 0) + seconds


def visit(bench: Bench, sandbox: Sandbox) -> None:
    """What nginx leaves at a visitor's first request."""
    (bench.run_dir / "seen" / sandbox.name).touch()


def test_a_sandbox_that_nobody_visited_is_culled_and_its_slot_comes_back(bench: Bench) -> None:
    sandbox = claim(bench)
    after_claim(bench, sandbox, 60)
    bench.settle(lambda: gone(bench, sandbox))
    assert by_label(bench.counters.ends) == {"unvisited": 1}
    bench.fill()


def test_a_visitor_who_has_asked_for_one_file_has_come(bench: Bench) -> None:
    sandbox = claim(bench)
    visit(bench, sandbox)
    after_claim(bench, sandbox, 3599)
    for _ in range(3):
        bench.turn()
    assert bench.table.get(sandbox.name).visited
    after_claim(bench, sandbox, 3600)
    bench.settle(lambda: gone(bench, sandbox))
    assert by_label(bench.counters.ends) == {"idle": 1}
    assert not (bench.run_dir / "seen" / sandbox.name).exists()


def looks(bench: Bench, sandbox: Sandbox) -> int:
    return len([path for path in bench.engine.jupyter(sandbox.name).requests if "/api/terminals" in path])


def await_look(bench: Bench, sandbox: Sandbox, before: int = 0) -> None:
    """Wait until there were more looks than before, and what they saw is noted."""
    bench.settle(lambda: looks(bench, sandbox) > before)
    bench.settle(lambda: not bench.sessions._checking)


def look(bench: Bench, sandbox: Sandbox) -> None:
    """Let a look's time come, and wait until it was taken."""
    bench.clock.advance(30)
    await_look(bench, sandbox, looks(bench, sandbox))


def test_a_message_of_a_kernel_keeps_a_sandbox_for_its_idle_time(bench: Bench) -> None:
    sandbox = claim(bench)
    visit(bench, sandbox)
    after_claim(bench, sandbox, 1000)
    bench.engine.jupyter(sandbox.name).kernels = ["idle"]
    look(bench, sandbox)
    worked = bench.table.get(sandbox.name).last_activity
    assert worked == bench.clock.now
    look(bench, sandbox)
    assert bench.table.get(sandbox.name).last_activity == worked, "a kernel at rest is no work"
    bench.clock.now = (worked or 0) + 3600
    bench.settle(lambda: gone(bench, sandbox))
    assert by_label(bench.counters.ends) == {"idle": 1}


def test_processor_time_keeps_a_sandbox_in_which_nothing_is_said(bench: Bench) -> None:
    sandbox = claim(bench)
    visit(bench, sandbox)
    after_claim(bench, sandbox, 1000)
    look(bench, sandbox)
    assert bench.table.get(sandbox.name).last_activity is None
    bench.engine.processor_seconds[sandbox.name] = 25.0
    look(bench, sandbox)
    assert bench.table.get(sandbox.name).last_activity == bench.clock.now


def test_a_silent_program_in_a_terminal_keeps_its_sandbox(bench: Bench) -> None:
    sandbox = claim(bench)
    visit(bench, sandbox)
    after_claim(bench, sandbox, 1000)
    bench.engine.programs.add(sandbox.name)
    bench.engine.jupyter(sandbox.name).terminals = 1
    look(bench, sandbox)
    assert bench.table.get(sandbox.name).last_activity == bench.clock.now


def test_whoever_comes_back_at_the_last_moment_keeps_their_sandbox(bench: Bench) -> None:
    sandbox = claim(bench)
    visit(bench, sandbox)
    after_claim(bench, sandbox, 3590)
    look_at = bench.engine.jupyter(sandbox.name)
    await_look(bench, sandbox)
    look_at.kernels = ["idle"]
    after_claim(bench, sandbox, 3600)
    bench.settle(lambda: bench.table.get(sandbox.name).last_activity is not None)
    assert bench.table.get(sandbox.name).state == "claimed"


def test_a_computing_kernel_keeps_its_sandbox_until_its_greatest_age(bench: Bench) -> None:
    sandbox = claim(bench)
    bench.engine.jupyter(sandbox.name).kernels = ["idle", "busy"]
    after_claim(bench, sandbox, 31)
    bench.settle(lambda: bench.table.get(sandbox.name).busy)
    after_claim(bench, sandbox, 14000)
    bench.turn()
    assert bench.table.get(sandbox.name).state == "claimed"
    after_claim(bench, sandbox, 14400)
    bench.settle(lambda: gone(bench, sandbox))
    assert by_label(bench.counters.ends) == {"max_age": 1}


def test_a_dead_sandbox_is_removed_whether_it_was_ready_or_claimed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    claimed = claim(bench)
    ready = next(sandbox for sandbox in bench.table.all() if sandbox.state == "ready")
    bench.engine.die(claimed.name)
    bench.engine.die(ready.name)
    bench.settle(lambda: gone(bench, claimed) and gone(bench, ready))
    assert by_label(bench.counters.ends) == {"dead": 2}
    assert "detail='out of memory'" in caplog.text
    bench.fill()


# Adoption and healing


def test_the_next_agent_asks_what_it_adopts_where_visitors_land() -> None:
    specs = [PoolSpec(DEFAULT_POOL, "an-image", 1, 1, "/lab/tree/Nope.ipynb")]
    with one_bench(specs=specs) as bench:
        bench.fill()
        following = make_bench(bench.run_dir, bench.engine, bench.clock, specs=specs)
        following.reconciler.begin()
        wait_until(lambda: following.landings.of(specs[0]).page == "/lab", 20, "the landing page")
        following.close()


def test_the_next_agent_adopts_what_runs_and_hands_it_out(bench: Bench) -> None:
    visitor = claim(bench)
    following = successor(bench)
    try:
        states = {sandbox.name: sandbox.state for sandbox in following.table.all()}
        assert sorted(states.values()) == ["claimed", "ready", "ready"]
        assert states[visitor.name] == "claimed"
        assert following.table.get(visitor.name).claimed_at == pytest.approx(visitor.claimed_at, abs=1)
        assert isinstance(following.claims.claim(DEFAULT_POOL), Sandbox)
        following.turn()
        assert bench.engine.started == 3
    finally:
        following.close()


def test_the_next_agent_lets_the_idle_time_begin_anew_for_it_has_not_seen_what_went_on(bench: Bench) -> None:
    worked = claim(bench)
    after_claim(bench, worked, 7200)
    following = successor(bench)
    try:
        found = following.table.get(worked.name)
        assert (found.visited, found.last_activity) == (True, bench.clock.now)
        following.turn()
        assert following.table.get(worked.name).state == "claimed"
    finally:
        following.close()


def test_the_next_agent_waits_for_a_visitor_who_has_not_come_yet_as_the_last_one_did(bench: Bench) -> None:
    absent, present = claim(bench), claim(bench)
    visit(bench, present)
    after_claim(bench, present, 30)
    following = successor(bench)
    try:
        assert [following.table.get(each.name).visited for each in (absent, present)] == [False, True]
    finally:
        following.close()


def test_the_next_agent_sees_a_start_through_that_the_last_one_left(bench: Bench) -> None:
    sandbox = bench.table.all()[0]
    (bench.run_dir / "ready" / sandbox.key).chmod(0o777)
    following = successor(bench)
    try:
        assert following.table.get(sandbox.name).state in ("starting", "ready")
        following.settle(lambda: following.table.get(sandbox.name).state == "ready")
        assert bench.engine.started == 3
    finally:
        following.close()


def test_a_directory_without_a_process_is_removed_and_never_offered(bench: Bench) -> None:
    stray = "straydir" + "2" * 26
    (bench.run_dir / "user" / stray).mkdir()
    bench.turn()
    assert not (bench.run_dir / "user" / stray).exists()


def test_a_process_without_a_directory_is_ended(bench: Bench) -> None:
    following = make_bench(bench.run_dir, bench.engine, bench.clock)
    lost = bench.table.all()[0]
    shutil.rmtree(bench.run_dir / "ready" / lost.key)
    try:
        following.settle(lambda: lost.name not in bench.engine.running)
        following.fill()
    finally:
        following.close()


def test_after_a_reboot_nothing_of_before_is_offered(bench: Bench) -> None:
    before = {sandbox.name for sandbox in bench.table.all()}
    for name in before:
        bench.engine.die(name)
    following = successor(bench)
    try:
        following.fill()
        assert not before & {sandbox.name for sandbox in following.table.all()}
        assert not before & set(bench.engine.running)
    finally:
        following.close()


def test_sessions_of_a_pool_that_the_settings_no_longer_have_live_on(bench: Bench) -> None:
    visitor = claim(bench)
    running = bench.engine.running[visitor.name]
    running.launch = replace(running.launch, pool="old", image="old-image")
    following = successor(bench)
    try:
        assert following.pools.stats()["old"].claimed == 1
        assert following.pools.stats()["old"].startable == 0
    finally:
        following.close()


# The engine goes away


def test_an_engine_that_does_not_answer_costs_no_session_and_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor = claim(bench)
    bench.engine.away = True
    for _ in range(3):
        bench.turn()
    assert bench.reconciler.problem() == "the engine does not answer"
    assert bench.table.get(visitor.name).state == "claimed"
    assert claim(bench).name != visitor.name
    bench.engine.away = False
    bench.turn()
    assert bench.reconciler.problem() == ""
    assert caplog.text.count("engine: the engine does not answer") == 1, "a transition is logged, not a state"
    assert caplog.text.count("engine: answers") == 1


def test_a_sandbox_that_ends_while_the_engine_is_away_ends_when_it_is_back(bench: Bench) -> None:
    sandbox = claim(bench)
    bench.engine.away = True
    bench.turn()
    bench.table.end(sandbox.name, "operator")
    bench.turn()
    assert sandbox.name in bench.engine.running
    bench.engine.away = False
    bench.settle(lambda: sandbox.name not in bench.engine.running)


def test_an_engine_that_is_away_is_asked_for_no_starts_and_promises_none() -> None:
    with one_bench() as empty:
        empty.engine.away = True
        empty.turn()
        assert (empty.stats().startable, empty.stats().problem) == (0, "")
        refusal = empty.claims.claim(DEFAULT_POOL)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.message) == ("full", "sandboxes do not start on this node at the moment")
        assert by_label(empty.counters.ends) == {}
        empty.engine.away = False
        empty.fill()


def test_a_loop_that_does_not_turn_is_said(bench: Bench) -> None:
    assert bench.reconciler.problem() == ""
    bench.monotonic.advance(STALLED_SECONDS + 1)
    assert "has not turned for 61 s" in bench.reconciler.problem()


def test_stopping_ends_the_loop_and_leaves_the_sandboxes_running(bench: Bench) -> None:
    bench.reconciler.stop()
    bench.reconciler.run()
    assert len(bench.engine.running) == 3
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("start", "end_", "check"))]


def test_no_key_is_in_any_log_line(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox = claim(bench)
    bench.engine.die(sandbox.name, f"died at /run/user/{sandbox.key}/x")
    bench.settle(lambda: gone(bench, sandbox))
    assert sandbox.name in caplog.text
    assert sandbox.key not in caplog.text


# Sandboxes that mean ill, and what nobody foresaw


def test_a_sandbox_whose_answer_no_parser_takes_ends_neither_the_loop_nor_the_next_agents_first_round(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = claim(bench)
    visit(bench, hostile)
    odd_header = b"Content-Type: multipart/x; boundary*=a; boundary*0=b"
    bench.engine.jupyter(hostile.name).raw = whole(b"{}", odd_header)
    asked = bench.engine.jupyter(hostile.name).requests
    asked.clear()
    bench.clock.now = (hostile.claimed_at or 0) + check_pace(LIMITS) + 1
    bench.settle(lambda: bool(asked), "the check")
    bench.turn()
    assert not gone(bench, hostile)
    asked.clear()
    following = successor(bench)
    try:
        following.settle(lambda: bool(asked), "the check")
        following.turn()
        assert not gone(following, hostile)
    finally:
        following.close()
    assert "unforeseen" not in caplog.text


def test_a_check_that_fails_in_an_unforeseen_way_ends_no_loop(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = claim(bench)
    bench.engine.confuses = True
    bench.clock.now = (sandbox.claimed_at or 0) + check_pace(LIMITS) + 1
    bench.settle(lambda: "unforeseen" in caplog.text, "the failed check")
    assert f"sandbox={sandbox.name}" in caplog.text
    assert not gone(bench, sandbox)
    bench.engine.confuses = False
    bench.table.end(sandbox.name, "operator")
    bench.fill()


def test_a_start_that_fails_in_an_unforeseen_way_frees_its_slot_and_shows(caplog: pytest.LogCaptureFixture) -> None:
    with one_bench(warm=1, capacity=1) as bench:
        bench.engine.confuses = True
        bench.settle(lambda: "the agent failed over it" in bench.stats().problem, "the failed start")
        assert "nobody foresaw this" in caplog.text
        bench.engine.confuses = False
        bench.clock.advance(3600)
        bench.fill()
