"""Acts for several at once: nobody waits alone, nobody gets another's, nobody is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from redirector.placing import batching as gathering
from redirector.placing.batching import CALLS_AT_ONCE, Batcher
from tests.support.waiting import wait_until
from tmpnb_common.claims import TICKETS_AT_ONCE


class SlowDeed:
    """Something that takes until the test says so."""

    def __init__(self) -> None:
        self.acts: list[list[str]] = []
        self.goes_on = Event()
        self.fails = False
        self.most = 99
        self._lock = Lock()

    def act(self, key: str, items: Sequence[str]) -> Sequence[str]:
        with self._lock:
            self.acts.append(list(items))
        assert self.goes_on.wait(20)
        if self.fails:
            raise RuntimeError("a bug")
        return [f"{key}/{item}" for item in items[: self.most]]


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as crowd:
        yield crowd


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gathers does so until an act returns."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 20)


class Scene:
    """Enough acts are under way that whoever comes now gathers."""

    def __init__(self, crowd: ThreadPoolExecutor) -> None:
        self.deed = SlowDeed()
        self.gathering = Batcher(self.deed.act)
        self.crowd = crowd
        self.first = [crowd.submit(self.gathering.submit, "k", f"first{number}") for number in range(CALLS_AT_ONCE)]
        wait_until(lambda: len(self.deed.acts) == CALLS_AT_ONCE, 5)

    def come(self, *items: str) -> list[Future[str | None]]:
        return [self.crowd.submit(self.gathering.submit, "k", item) for item in items]

    def gather(self, *items: str) -> list[Future[str | None]]:
        futures = self.come(*items)
        wait_until(lambda: len(self.gathering._lines["k"].waiters) == len(items), 5)
        return futures


def test_who_comes_alone_goes_alone_and_at_once() -> None:
    deed = SlowDeed()
    deed.goes_on.set()
    gathered = Batcher(deed.act)
    assert [gathered.submit("k", item) for item in "ab"] == ["k/a", "k/b"]
    assert deed.acts == [["a"], ["b"]]
    assert gathered._lines == {}, "keys come from visitors"


@pytest.mark.usefixtures("patient")
def test_those_who_come_meanwhile_share_the_next_act_and_each_gets_their_own(crowd: ThreadPoolExecutor) -> None:
    scene = Scene(crowd)
    items = [f"t{number}" for number in range(TICKETS_AT_ONCE + 4)]
    others = scene.gather(*items)
    scene.deed.goes_on.set()
    assert [future.result(5) for future in others] == [f"k/{item}" for item in items]
    assert sum(len(act) for act in scene.deed.acts) == CALLS_AT_ONCE + len(items), "each once"
    assert max(len(act) for act in scene.deed.acts) <= TICKETS_AT_ONCE
    assert len(scene.deed.acts) <= CALLS_AT_ONCE + 3


def test_nobody_waits_long_for_acts_that_hang(crowd: ThreadPoolExecutor) -> None:
    scene = Scene(crowd)
    scene.come("a")
    wait_until(lambda: ["a"] in scene.deed.acts, 5, "an act beside those that hang")
    scene.deed.goes_on.set()


def test_different_things_are_not_shared(crowd: ThreadPoolExecutor) -> None:
    scene = Scene(crowd)
    crowd.submit(scene.gathering.submit, "another", "b")
    wait_until(lambda: ["b"] in scene.deed.acts, 5)
    scene.deed.goes_on.set()


@pytest.mark.usefixtures("patient")
def test_whom_an_act_leaves_out_gets_nothing_and_knows_it(crowd: ThreadPoolExecutor) -> None:
    scene = Scene(crowd)
    others = scene.gather("a", "b", "c")
    scene.deed.most = 1
    scene.deed.goes_on.set()
    results = [future.result(5) for future in others]
    assert None in results
    assert {result for result in results if result} <= {"k/a", "k/b", "k/c"}


@pytest.mark.usefixtures("patient")
def test_an_act_that_ends_in_a_bug_leaves_nobody_waiting(crowd: ThreadPoolExecutor) -> None:
    scene = Scene(crowd)
    others = scene.gather("a", "b", "c")
    scene.deed.fails = True
    scene.deed.goes_on.set()
    for future in others:
        error = future.exception(5)
        assert error is None or str(error) == "a bug"
        assert error is not None or future.result() is None
    scene.deed.fails = False
    assert scene.gathering.submit("k", "later") == "k/later"
