"""Nodes' own metrics through the redirector: one job for any fleet, and no node speaks for another."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node_agent.pools.counters import Counters
from node_agent.web import metrics as node_metrics
from redirector.model.nodes import Failure, FailureKind
from redirector.node_client.node_metrics import SAMPLES_LIMIT, Families, NodeMetricsError, exposition, parse_metrics
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker
from tmpnb_common.wire import NodeStats, PoolStats


def of_an_agent(*pools: str) -> str:
    counters = Counters()
    for pool in pools:
        counters.claims.labels(pool).inc(2)
        counters.started(pool, 1.5)
    stats = NodeStats(1, 1, pools={pool: PoolStats(1, 1) for pool in pools})
    return node_metrics.exposition(node_metrics.NodeSample(stats, counters.registry, 1000, "")).decode()


def series(text: str) -> dict[tuple[str, str], float]:
    """Each series' value by its name and node."""
    return {
        (sample.name, sample.labels["node"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_nodes_series_carry_its_name(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    first, second = nodes.add("n1"), nodes.add("n2")
    silent = nodes.add("n3")
    first.metrics, second.metrics = of_an_agent("default", "r"), of_an_agent("default")
    fleet.add(first, second, silent)
    nodes.die(silent)
    answer = fleet.admin("GET", "/metrics/nodes")
    assert answer.status_code == 200
    found = series(answer.text)
    assert {found["tmpnb_agent_memory_left_bytes", name] for name in ("n1", "n2")} == {1000.0}
    assert [found["tmpnb_node_metrics_up", name] for name in ("n1", "n2", "n3")] == [1, 1, 0]
    assert answer.text.count("# TYPE tmpnb_agent_start_seconds histogram") == 1
    asked = len(first.asked)
    fleet.admin("GET", "/metrics/nodes")
    assert len(first.asked) == asked, "scrapes within seconds share one answer"


def test_a_node_cannot_speak_for_another_one() -> None:
    forged = '# TYPE tmpnb_agent_healthy gauge\ntmpnb_agent_healthy{node="n2"} 0\n'
    text = exposition({"n1": parse_metrics(forged), "n2": parse_metrics(of_an_agent("default"))}).decode()
    assert series(text)["tmpnb_agent_healthy", "n1"] == 0
    assert series(text)["tmpnb_agent_healthy", "n2"] == 1


def test_what_is_no_agents_is_left_out() -> None:
    assert not parse_metrics('# TYPE tmpnb_database_up gauge\ntmpnb_database_up 0\nup{job="x"} 0\n')


@pytest.mark.parametrize(
    "text",
    [
        "tmpnb_agent_healthy{",
        "tmpnb_agent_healthy x",
        '# TYPE tmpnb_agent_healthy gauge\ntmpnb_agent_healthy{a="' + "x" * 200 + '"} 1',
        "# TYPE tmpnb_agent_healthy gauge\ntmpnb_agent_healthy NaN",
        "# TYPE tmpnb_agent_healthy summary\ntmpnb_agent_healthy 1",
        "tmpnb_agent_healthy 1",
        "# TYPE tmpnb_agent_starts counter\n"
        + "".join(f'tmpnb_agent_starts_total{{pool="p{number}"}} 1\n' for number in range(SAMPLES_LIMIT + 1)),
    ],
    ids=["open", "no-number", "long-label", "nan", "summary", "untyped", "too-many"],
)
def test_hostile_metrics_are_refused_as_a_whole(text: str) -> None:
    with pytest.raises(NodeMetricsError):
        parse_metrics(text)


def test_nodes_that_disagree_about_a_family_still_make_one_text() -> None:
    odd = parse_metrics("# TYPE tmpnb_agent_healthy histogram\ntmpnb_agent_healthy_sum 1\n")
    answers: dict[str, Families | Failure] = {
        "n1": parse_metrics(of_an_agent("default")),
        "n2": odd,
        "n3": Failure(FailureKind.TIMEOUT, "no answer"),
    }
    found = series(exposition(answers).decode())
    assert ("tmpnb_agent_healthy", "n1") in found
    assert ("tmpnb_agent_healthy_sum", "n2") not in found
