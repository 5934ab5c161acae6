"""What a poll of one node makes of what is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from redirector.loops.node_polls import Polled, after_poll
from redirector.model.nodes import Failure, FailureKind, Health, Node, Seen
from tests.support.fleet_values import a_node, stats
from tmpnb_common.wire import NodeStats

UP = Seen(Health.UP)
SILENT = Seen(Health.UP, silent=True, failures=1)


class Unread(Mapping[str, Seen]):
    """What was seen of a thousand nodes, for whoever has no need of it."""

    def __getitem__(self, name: str) -> Seen:
        raise AssertionError(name)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the whole fleet was looked at")

    def __len__(self) -> int:
        return 1000


def polled(answer: NodeStats | Failure, unreached: str = "") -> Polled:
    return Polled(100.0, answer, unreached=unreached)


def fleet(seen: Seen) -> tuple[dict[str, Node], dict[str, Seen]]:
    names = [f"n{number}" for number in range(5)]
    return {name: a_node(name) for name in names}, dict.fromkeys(names, seen)


def test_a_good_poll_looks_at_no_other_node() -> None:
    after = after_poll(a_node("n1"), UP, polled(stats()), {}, Unread(), now=101.0)
    assert (after.health, after.asked_at, after.failures) == (Health.UP, 100.0, 0)


def test_a_third_silence_is_the_nodes_fault_unless_most_of_the_fleet_is_silent() -> None:
    silence = polled(Failure(FailureKind.TIMEOUT, "no answer"))
    before = Seen(Health.SUSPECT, failures=2)
    verdicts = {
        others: after_poll(a_node("n1"), before, silence, *fleet(seen), now=101.0).health
        for others, seen in {"well": UP, "silent": SILENT}.items()
    }
    assert verdicts == {"well": Health.DOWN, "silent": Health.SUSPECT}


def test_a_node_that_visitors_do_not_reach_is_suspect_and_keeps_the_reason() -> None:
    after = after_poll(a_node("n1"), UP, polled(stats(), "refused"), *fleet(UP), now=101.0)
    assert (after.health, after.unreached) == (Health.SUSPECT, "refused")
