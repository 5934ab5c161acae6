"""The table that a host's workers share: exact over processes, and left usable by those that die."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from redirector.memory.bucket_table import BucketTable
from redirector.memory.rate_limits import LONGEST_HOLD_SECONDS, Allowance, RateLimits
from tests.support.waiting import wait_until

FORK = multiprocessing.get_context("fork")
"""As gunicorn makes its workers."""


def grants(limits: RateLimits, count: int) -> int:
    return sum(limits.take("198.51.100.7", 0.0) == 0 for _ in range(count))


def test_processes_and_threads_hand_out_one_allowance_exactly_together() -> None:
    limits = RateLimits(Allowance(1000, 1), BucketTable())
    granted = FORK.Value("i", 0)

    def work() -> None:
        with ThreadPoolExecutor(4) as threads:
            total = sum(threads.map(lambda _: grants(limits, 100), range(4)))
        with granted.get_lock():
            granted.value += total

    workers = [FORK.Process(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert granted.value == 1000


def test_a_worker_that_is_killed_with_the_lock_in_its_hands_leaves_it_to_the_others() -> None:
    table = BucketTable()
    inside = FORK.Event()

    def hold() -> None:
        with table.locked():
            inside.set()
            signal.pause()

    holder = FORK.Process(target=hold)
    holder.start()
    wait_until(inside.is_set, 20, "the lock to be taken")
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(20)
    with table.locked():
        table.put("a", 1.0)
    assert table.due("a") == 1.0


def test_a_set_that_is_full_forgets_the_entry_that_is_due_first() -> None:
    table = BucketTable(sets=1, ways=3)
    for due, key in enumerate("abcd", start=1):
        table.put(key, float(due))
    assert [table.due(key) for key in "abcd"] == [0.0, 2.0, 3.0, 4.0]


class Model:
    """One token bucket a client, without any table."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.due: dict[str, float] = {}

    def take(self, address: str, now: float) -> float | None:
        apart = 60 / self.allowance.per_minute
        full_again = max(now, self.due.get(address, 0.0)) + apart
        turn = max(0.0, full_again - now - self.allowance.burst * apart)
        if turn > LONGEST_HOLD_SECONDS:
            return None
        self.due[address] = full_again
        return turn


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.floats(0, 30), st.booleans()),
        max_size=80,
    )
)
def test_the_table_counts_as_buckets_without_end_would(visits: list[tuple[int, float, bool]]) -> None:
    allowance = Allowance(3, 20)
    limits, model, now = RateLimits(allowance, BucketTable(sets=64, ways=16)), Model(allowance), 0.0
    for client, later, came_to_nothing in visits:
        now, address = now + later, f"198.51.100.{client}"
        got = limits.take(address, now)
        assert got == model.take(address, now)
        if came_to_nothing and got is not None:
            limits.give_back(address)
            model.due[address] -= 3.0
