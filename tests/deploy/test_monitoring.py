"""The alert rules and the Grafana dashboard: valid, and about metrics that exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.pools.counters import Counters
from node_agent.web import metrics as node_metrics
from tests.support.fleet_nodes import fake_nodes
from tests.support.fleet_worker import stepped_worker
from tmpnb_common.wire import NodeStats, PoolStats

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana" / "tmpnb-fleet.json"
NAME = re.compile(r"\btmpnb_[a-z_]+")


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all series that a redirector and a node have to offer."""
    with fake_nodes() as nodes, stepped_worker(tmp_path_factory.mktemp("state")) as fleet:
        fleet.add(nodes.add("n1"))
        redirector = fleet.admin("GET", "/metrics").text
    sample = node_metrics.NodeSample(NodeStats(1, 1, pools={"default": PoolStats(1, 1)}), Counters().registry, 0, "")
    return set(series(redirector)) | set(series(node_metrics.exposition(sample).decode()))


def series(text: str) -> Iterator[str]:
    """Every series that the families of an exposition may have, be it empty now."""
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        yield name
        if kind == "histogram":
            yield from (f"{name}_{part}" for part in ("bucket", "count", "sum"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("promtool is not installed")
    assert program is not None
    return subprocess.run(
        [program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "tmpnb.rules.yml"),
        ("test", "rules", "tmpnb.rules.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_name_only_metrics_that_exist(exposed: set[str]) -> None:
    expressions = re.findall(r"(?s)expr:(.*?)\n\s+for:", (PROMETHEUS / "tmpnb.rules.yml").read_text())
    named = {name for expression in expressions for name in NAME.findall(expression)}
    assert len(named) > 8
    assert named <= exposed


def test_the_dashboard_names_only_metrics_that_exist(exposed: set[str]) -> None:
    panels = json.loads(GRAFANA.read_text())["panels"]
    named = {name for panel in panels for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert len(named) > 10
    assert named <= exposed


def test_the_dashboards_panels_neither_overlap_nor_repeat_an_id() -> None:
    panels = json.loads(GRAFANA.read_text())["panels"]
    cells = [
        (x, y)
        for spot in (panel["gridPos"] for panel in panels)
        for x in range(spot["x"], spot["x"] + spot["w"])
        for y in range(spot["y"], spot["y"] + spot["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_expression_of_the_dashboard_can_be_read_by_prometheus(tmp_path: Path) -> None:
    panels = json.loads(GRAFANA.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [
        {"record": f"tried:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    # YAML reads JSON as well.
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "tried", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
