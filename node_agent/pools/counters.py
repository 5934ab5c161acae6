"""What a node has done since its agent's start, counted for Prometheus in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

START_BOUNDS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Upper bounds in seconds: a cheap image on an idle host, to the default deadline."""

# A time beside each counter would double the series; the agent's start is known to whoever scrapes.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Counters:
    """The counters of one agent; safe to use from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        own = self.registry
        self.claims = Counter("tmpnb_agent_claims", "Sandboxes that were handed out.", ["pool"], registry=own)
        self.refusals = Counter("tmpnb_agent_refusals", "Claims that got nothing.", ["pool", "status"], registry=own)
        self.abandoned = Counter(
            "tmpnb_agent_abandoned",
            "Sandboxes that were taken back, since nobody waited for their claims any more.",
            registry=own,
        )
        self.ends = Counter("tmpnb_agent_ends", "Sandboxes that were ended.", ["reason"], registry=own)
        self.starts = Counter("tmpnb_agent_starts", "Starts by what became of them.", ["pool", "result"], registry=own)
        self.start_seconds = Histogram(
            "tmpnb_agent_start_seconds",
            "From a start to a ready sandbox.",
            ["pool"],
            buckets=START_BOUNDS,
            registry=own,
        )

    def started(self, pool: str, seconds: float) -> None:
        """Count a sandbox that became ready after so many seconds."""
        self.starts.labels(pool, "ready").inc()
        self.start_seconds.labels(pool).observe(seconds)


def by_label(counter: Counter) -> dict[str, int]:
    """A counter's values by the value of its first label."""
    values: dict[str, int] = {}
    for metric in counter.collect():
        for sample in metric.samples:
            first = next(iter(sample.labels.values()), "")
            values[first] = values.get(first, 0) + int(sample.value)
    return values


def total(counter: Counter) -> int:
    """The sum of a counter over all its labels."""
    return sum(by_label(counter).values())
