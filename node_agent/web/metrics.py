"""The node in the language of Prometheus, made afresh from the agent's memory at each scrape.

So no series outlives what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from node_agent.pools.counters import Tally
from tmpnb_common.wire import NodeStats, PoolStats

CONTENT_TYPE = CONTENT_TYPE_LATEST

STATES = ("ready", "starting", "claimed", "startable", "ending")


@dataclass(frozen=True, slots=True)
class Sample:
    """What is measured."""

    stats: NodeStats
    tally: Tally
    memory_left: int | None
    """Bytes; None where nothing but the capacity bounds sandboxes."""
    problem: str


def exposition(sample: Sample) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(sample))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def collect(self) -> Iterable[Metric]:
        sample = self._sample
        yield InfoMetricFamily("tmpnb_agent", "The agent that answers.", {"version": sample.stats.version})
        yield GaugeMetricFamily("tmpnb_agent_healthy", "1 while /healthz says ok.", not sample.problem)
        draining = sample.stats.state == "draining"
        yield GaugeMetricFamily("tmpnb_agent_draining", "1 while the node takes no new visitors.", draining)
        if sample.memory_left is not None:
            yield GaugeMetricFamily(
                "tmpnb_agent_memory_left_bytes", "Memory for more sandboxes, reserves taken off.", sample.memory_left
            )
        yield from _pools(sample.stats.pools)
        yield from _counters(sample.tally)


def _pools(pools: Mapping[str, PoolStats]) -> Iterator[Metric]:
    sandboxes = GaugeMetricFamily(
        "tmpnb_agent_sandboxes", "Sandboxes by state; startable: those that could be.", labels=["pool", "state"]
    )
    capacity = GaugeMetricFamily("tmpnb_agent_capacity", "Sandboxes that there may be at most.", labels=["pool"])
    problem = GaugeMetricFamily("tmpnb_agent_pool_problem", "1 while sandboxes do not start.", labels=["pool"])
    unfit = GaugeMetricFamily("tmpnb_agent_pool_unfit", "1 while sandboxes start and do not serve.", labels=["pool"])
    for name, pool in pools.items():
        counts = (pool.available, pool.starting, pool.claimed, pool.startable, pool.ending)
        for state, count in zip(STATES, counts, strict=True):
            sandboxes.add_metric([name, state], count)
        capacity.add_metric([name], pool.capacity)
        problem.add_metric([name], bool(pool.problem))
        unfit.add_metric([name], bool(pool.unfit))
    yield from (sandboxes, capacity, problem, unfit)


def _counters(tally: Tally) -> Iterator[Metric]:
    claims = CounterMetricFamily("tmpnb_agent_claims", "Sandboxes that were handed out.", labels=["pool"])
    for pool, count in tally.claims.items():
        claims.add_metric([pool], count)
    refusals = CounterMetricFamily("tmpnb_agent_refusals", "Claims that got nothing.", labels=["pool", "status"])
    for (pool, status), count in tally.refusals.items():
        refusals.add_metric([pool, status], count)
    abandoned = CounterMetricFamily(
        "tmpnb_agent_abandoned", "Sandboxes that were taken back, since nobody waited for their claims any more."
    )
    abandoned.add_metric([], tally.abandoned)
    ends = CounterMetricFamily("tmpnb_agent_ends", "Sandboxes that were ended.", labels=["reason"])
    for reason, count in tally.ends.items():
        ends.add_metric([reason], count)
    starts = CounterMetricFamily("tmpnb_agent_starts", "Starts by what became of them.", labels=["pool", "result"])
    for (pool, result), count in tally.starts.items():
        starts.add_metric([pool, result], count)
    seconds = HistogramMetricFamily("tmpnb_agent_start_seconds", "From a start to a ready sandbox.", labels=["pool"])
    for pool, durations in tally.start_seconds.items():
        seconds.add_metric([pool], durations.upto(), durations.total)
    yield from (claims, refusals, abandoned, ends, starts, seconds)
