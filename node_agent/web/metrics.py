"""The node in the language of Prometheus, made afresh from the agent's memory at each scrape.

So no series outlives what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from tmpnb_common.wire import NodeStats, PoolStats

CONTENT_TYPE = CONTENT_TYPE_LATEST

STATES = ("ready", "starting", "claimed", "startable", "ending")


@dataclass(frozen=True, slots=True)
class NodeSample:
    """What is measured."""

    stats: NodeStats
    counters: CollectorRegistry
    """Of what was counted since the agent's start."""
    memory_left: int | None
    """Bytes; None where nothing but the capacity bounds sandboxes."""
    problem: str


def exposition(sample: NodeSample) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(sample))
    return generate_latest(registry) + generate_latest(sample.counters)


class _Collector(Collector):
    def __init__(self, sample: NodeSample) -> None:
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
