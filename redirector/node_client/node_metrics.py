"""The nodes' own metrics as one text for Prometheus: each node's series with its name as the label `node`.

What a node sends is a stranger's: only the families of an agent are taken over, with the types and labels that an
agent's have, few of them, and none can speak for another node. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from redirector.model.nodes import Failure

Families = list[Metric]
"""What one node says of itself."""

FAMILY = re.compile(r"tmpnb_agent(?:_[a-z0-9]+){0,8}")
LABEL = re.compile(r"[a-z][a-z_]{0,30}")
TYPES = frozenset({"counter", "gauge", "histogram", "info"})
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count", "_info", "_created")
VALUE_LIMIT = 128
"""Characters of a label's value."""
SAMPLES_LIMIT = 1000
"""Of one node; an agent with ten pools has 250."""


class NodeMetricsError(ValueError):
    """A node's metrics are not what an agent says."""


def parse_metrics(text: str) -> Families:
    """Read what one node says of itself.

    Raises:
        NodeMetricsError: it is not in Prometheus' format, or more than an agent has to say.
    """
    try:
        families = [family for family in text_string_to_metric_families(text) if FAMILY.fullmatch(family.name)]
    except Exception as error:  # noqa: BLE001 - a stranger's text: the parser raises whatever its lines lead to
        raise NodeMetricsError(f"its metrics cannot be read: {type(error).__name__}") from None
    if sum(len(family.samples) for family in families) > SAMPLES_LIMIT:
        raise NodeMetricsError(f"it has more than {SAMPLES_LIMIT} series")
    for family in families:
        if family.type not in TYPES or not all(_is_agents(family.name, sample) for sample in family.samples):
            raise NodeMetricsError(f"{family.name} is not as an agent has it")
    return families


def exposition(answers: Mapping[str, Families | Failure]) -> bytes:
    """The text that Prometheus reads; a node that did not answer has only `tmpnb_node_metrics_up` 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(answers))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, answers: Mapping[str, Families | Failure]) -> None:
        self._answers = answers

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "tmpnb_node_metrics_up", "1 for a node whose own metrics are among these.", labels=["node"]
        )
        for name, answer in self._answers.items():
            up.add_metric([name], not isinstance(answer, Failure))
        yield up
        yield from _merged(self._answers)


def _merged(answers: Mapping[str, Families | Failure]) -> Iterator[Metric]:
    """Every family once, with the samples of all nodes. Who says another type of it than the first is left out."""
    families: dict[str, Metric] = {}
    for node, answer in answers.items():
        for family in [] if isinstance(answer, Failure) else answer:
            merged = families.setdefault(family.name, Metric(family.name, family.documentation[:200], family.type))
            if merged.type == family.type:
                merged.samples += [
                    Sample(sample.name, {**sample.labels, "node": node}, sample.value) for sample in family.samples
                ]
    yield from families.values()


def _is_agents(family: str, sample: Sample) -> bool:
    """Whether a sample is one of its family's, with labels that an agent may have."""
    return (
        sample.name in [family + suffix for suffix in SUFFIXES]
        and not math.isnan(sample.value)
        and all(LABEL.fullmatch(label) and len(value) <= VALUE_LIMIT for label, value in sample.labels.items())
    )
