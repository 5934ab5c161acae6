"""What nodes are told of claims that nobody waits for any more, while they answer and while they do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from redirector.memory.fleet_state import FleetState
from redirector.model.nodes import Failure, FailureKind, Node
from redirector.placing.abandonment import KEPT_ATTEMPTS, KEPT_SECONDS, LONGEST_RETRY_SECONDS, Abandonment
from tests.support.fleet_values import a_node
from tmpnb_common.claims import ATTEMPTS_AT_ONCE


class Ears:
    """A node that hears, or does not."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.deaf = False

    def abandon(self, _node: Node, attempts: Sequence[str]) -> Failure | None:
        self.calls.append(list(attempts))
        return Failure(FailureKind.TIMEOUT, "no answer") if self.deaf else None


class Scene:
    """A fleet of one node, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ears = Ears()
        self.fleet_state = FleetState()
        self.fleet_state.take({"n1": a_node("n1")})
        self.abandonment = Abandonment(fleet_state=self.fleet_state, client=self.ears, clock=lambda: self.now)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.abandonment.tick()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_node_that_hears_is_told_once(scene: Scene) -> None:
    scene.abandonment.give_up("n1", "a")
    scene.abandonment.give_up("n1", "b")
    scene.pass_time(10)
    assert scene.ears.calls == [["a", "b"]]


def test_a_node_that_does_not_hear_is_told_ever_less_often_and_at_last_not_at_all(scene: Scene) -> None:
    scene.ears.deaf = True
    scene.abandonment.give_up("n1", "a")
    scene.pass_time(60)
    assert 60 / LONGEST_RETRY_SECONDS < len(scene.ears.calls) < 20
    scene.pass_time(KEPT_SECONDS)
    calls = len(scene.ears.calls)
    scene.pass_time(60)
    assert len(scene.ears.calls) == calls


def test_what_it_did_not_hear_it_is_told_when_it_does(scene: Scene) -> None:
    scene.ears.deaf = True
    scene.abandonment.give_up("n1", "a")
    scene.pass_time(5)
    scene.ears.deaf = False
    scene.pass_time(LONGEST_RETRY_SECONDS)
    calls = len(scene.ears.calls)
    scene.abandonment.give_up("n1", "b")
    scene.abandonment.tick()
    assert scene.ears.calls[calls:] == [["b"]], "and news at once again"


def test_many_are_told_in_parts_and_of_too_many_the_oldest_not(scene: Scene) -> None:
    for number in range(KEPT_ATTEMPTS + 1):
        scene.abandonment.give_up("n1", str(number))
    scene.pass_time(10)
    told = [attempt for call in scene.ears.calls for attempt in call]
    assert told == [str(number) for number in range(1, KEPT_ATTEMPTS + 1)]
    assert max(map(len, scene.ears.calls)) <= ATTEMPTS_AT_ONCE


def test_a_node_that_has_left_is_told_nothing(scene: Scene) -> None:
    scene.abandonment.give_up("n1", "a")
    scene.fleet_state.take({})
    scene.pass_time(1)
    scene.fleet_state.take({"n1": a_node("n1")})
    scene.pass_time(1)
    assert scene.ears.calls == []
