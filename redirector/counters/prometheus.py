"""The fleet in the language of Prometheus, made afresh from one picture at each scrape.

Nothing is kept between scrapes, so that neither a node that was removed nor a state that has passed leaves a series
behind. Counters are the database's, and so the whole fleet's, whichever redirector is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from redirector.counters.histograms import PLACEMENT, QUEUE, Scale, read
from redirector.model.board import Board, partition_suspected
from redirector.model.nodes import NO_ORDER, FailureKind, Node, PoolOrder, drained, eligibility, pending, pools_of
from redirector.model.outcomes import REFUSALS
from redirector.model.slot_counts import SlotCounts, counts_of, is_current

SLOTS = ("available", "claimed", "starting", "startable", "ending", "unusable")


@dataclass(frozen=True, slots=True)
class FleetSample:
    """What is measured."""

    at: float
    nodes: Mapping[str, Node]
    board: Board
    counters: Mapping[str, int]
    waiting: Mapping[str, int]
    database_up: bool
    version: str
    orders: Mapping[str, Mapping[str, PoolOrder]] = field(default_factory=dict)
    content_alarms: Sequence[str] = ()
    """What is wrong with contents and their workers."""


def exposition(sample: FleetSample) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(sample))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, sample: FleetSample) -> None:
        self._sample = sample

    def collect(self) -> Iterable[Metric]:
        sample = self._sample
        yield InfoMetricFamily("tmpnb_redirector", "The redirector that answers.", {"version": sample.version})
        yield GaugeMetricFamily(
            "tmpnb_database_up",
            "1 while the database does as asked; counters are missing without it.",
            sample.database_up,
        )
        if sample.database_up:
            yield from _visitors(sample)
        yield from _poller(sample)
        yield from _nodes(sample)
        yield GaugeMetricFamily(
            "tmpnb_content_alarms",
            "What is wrong with contents and with the workers that fetch them: tmpnb status says it in words.",
            len(sample.content_alarms),
        )


def _visitors(sample: FleetSample) -> Iterator[Metric]:
    outcomes = CounterMetricFamily(
        "tmpnb_visitors",
        "Visitors by what became of them: placed, or why they got neither a sandbox nor a place to wait.",
        labels=["outcome"],
    )
    outcomes.add_metric(["placed"], sample.counters.get("placed", 0))
    for reason in REFUSALS:
        outcomes.add_metric([reason], sample.counters.get(f"refused_{reason}", 0))
    yield outcomes
    tries = sample.counters.get("tries", 0)
    yield CounterMetricFamily("tmpnb_claim_tries", "Nodes that were asked for a sandbox.", tries)
    waited = sample.counters.get("waited", 0)
    yield CounterMetricFamily("tmpnb_waited", "Visitors who took a place in the waiting room.", waited)
    waiting = GaugeMetricFamily("tmpnb_waiting_visitors", "Visitors in the waiting room.", labels=["pool"])
    for pool, count in (sample.waiting or {"default": 0}).items():
        waiting.add_metric([pool], count)
    yield waiting
    yield _histogram(
        "tmpnb_placement_seconds", "From a visitor's request to their sandbox.", PLACEMENT, sample.counters
    )
    yield _histogram("tmpnb_queue_seconds", "From taking a place in the waiting room to it.", QUEUE, sample.counters)


def _histogram(name: str, text: str, scale: Scale, counters: Mapping[str, int]) -> HistogramMetricFamily:
    found = read(scale, counters)
    return HistogramMetricFamily(name, text, buckets=list(found.upto), sum_value=found.total_seconds)


def _poller(sample: FleetSample) -> Iterator[Metric]:
    board = sample.board
    if board.published_at:
        age = max(0.0, sample.at - board.published_at)
        yield GaugeMetricFamily("tmpnb_board_age_seconds", "Since the last picture of the nodes was published.", age)
    holder = GaugeMetricFamily("tmpnb_poller", "1 for the worker that polls the nodes.", labels=["holder"])
    if board.holder:
        holder.add_metric([board.holder], 1)
    yield holder
    silent = partition_suspected(board.seen)
    yield GaugeMetricFamily("tmpnb_cut_off", "1 while more than half of the nodes are silent at once.", silent)


def _nodes(sample: FleetSample) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "tmpnb_node_state", "1 for each node, with the state that it has now.", labels=["node", "health", "intent"]
    )
    routable = GaugeMetricFamily("tmpnb_node_routable", "1 for a node that may receive visitors.", labels=["node"])
    waits = GaugeMetricFamily(
        "tmpnb_node_intent_pending", "1 until the node has taken its intent over.", labels=["node"]
    )
    empty = GaugeMetricFamily("tmpnb_node_drained", "1 for a draining node without sessions.", labels=["node"])
    slots = GaugeMetricFamily("tmpnb_node_slots", "A node's slots, by use.", labels=["node", "pool", "state"])
    capacity = GaugeMetricFamily("tmpnb_node_capacity", "A node's slots, all of them.", labels=["node", "pool"])
    problem = GaugeMetricFamily(
        "tmpnb_node_pool_problem", "1 while a pool's sandboxes do not start.", labels=["node", "pool"]
    )
    unfit = GaugeMetricFamily(
        "tmpnb_node_pool_unfit", "1 while a pool's sandboxes start and do not serve.", labels=["node", "pool"]
    )
    unmet = GaugeMetricFamily(
        "tmpnb_node_pool_order_unmet",
        "1 while a pool has another image or capacity than the fleet ordered.",
        labels=["node", "pool", "what"],
    )
    age = GaugeMetricFamily("tmpnb_node_stats_age_seconds", "Age of what is known of a node.", labels=["node"])
    polls = CounterMetricFamily("tmpnb_node_polls", "Times that a node was asked for its stats.", labels=["node"])
    errors = CounterMetricFamily("tmpnb_node_poll_errors", "Polls that failed.", labels=["node", "reason"])
    for name, node in sample.nodes.items():
        seen = sample.board.of(name)
        order = eligibility(node, seen).order
        state.add_metric([name, seen.health.value, node.intent], 1)
        routable.add_metric([name], order == "first")
        waits.add_metric([name], pending(node, seen))
        empty.add_metric([name], drained(node, seen))
        polls.add_metric([name], seen.polls)
        for kind in FailureKind:
            errors.add_metric([name, kind.value], seen.troubles.get(kind.value, 0))
        if seen.stats is None:
            continue
        age.add_metric([name], max(0.0, sample.at - seen.asked_at))
        current = is_current(seen)
        for pool, stats in pools_of(seen.stats).items():
            # What it had before it fell silent would be added up with what others have now.
            counts = counts_of(stats, takes_visitors=order != "never") if current else SlotCounts()
            capacity.add_metric([name, pool], counts.capacity)
            problem.add_metric([name, pool], bool(stats.problem))
            unfit.add_metric([name, pool], bool(stats.unfit))
            differing = sample.orders.get(name, {}).get(pool, NO_ORDER).unmet(stats, seen.asked_at)
            for what in ("image", "capacity"):
                unmet.add_metric([name, pool, what], what in differing)
            for use in SLOTS:
                slots.add_metric([name, pool, use], getattr(counts, use))
    yield from (state, routable, waits, empty, slots, capacity, problem, unfit, unmet, age, polls, errors)
