"""What Prometheus reads, and that nothing that is gone stays in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(fleet: SteppedWorker) -> Series:
    answer = fleet.admin("GET", "/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def test_metrics_need_the_admin_token(fleet: SteppedWorker) -> None:
    assert fleet.web.get("/metrics").status_code == 401


def test_slots_are_told_by_node_pool_and_use(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", capacity=9, ready=4, starting=1, claimed=2))
    found = scrape(fleet)
    assert found[labelled("tmpnb_node_slots", node="n1", pool="default", state="available")] == 4
    assert found[labelled("tmpnb_node_slots", node="n1", pool="default", state="claimed")] == 2
    assert found[labelled("tmpnb_node_capacity", node="n1", pool="default")] == 9
    assert found[labelled("tmpnb_node_state", node="n1", health="up", intent="active")] == 1
    assert found[labelled("tmpnb_node_routable", node="n1")] == 1


def test_an_original_tmpnb_has_slots_too(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("old", protocol=0, ready=3))
    found = scrape(fleet)
    assert found[labelled("tmpnb_node_slots", node="old", pool="default", state="available")] == 3


def test_visitors_are_counted_by_outcome_and_timed(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", ready=1))
    fleet.place()
    fleet.place()
    fleet.worker.sync_loop.tick()
    found = scrape(fleet)
    assert found[labelled("tmpnb_visitors_total", outcome="placed")] == 1
    assert found[labelled("tmpnb_visitors_total", outcome="full")] == 1
    assert found[labelled("tmpnb_claim_tries_total")] == 2
    assert found[labelled("tmpnb_placement_seconds_count")] == 1
    assert found[labelled("tmpnb_placement_seconds_bucket", le="+Inf")] == 1
    assert found[labelled("tmpnb_placement_seconds_sum")] > 0


def test_a_node_that_fails_and_recovers_leaves_no_lie_behind(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    n1 = nodes.add("n1")
    fleet.add(n1, nodes.add("n2"))
    nodes.die(n1)
    fleet.tick(4)
    down = scrape(fleet)
    assert down[labelled("tmpnb_node_state", node="n1", health="down", intent="active")] == 1
    assert down[labelled("tmpnb_node_slots", node="n1", pool="default", state="available")] == 0
    assert down[labelled("tmpnb_node_poll_errors_total", node="n1", reason="refused")] >= 3
    nodes.start(n1)
    fleet.tick(4)
    states = [key for key in scrape(fleet) if key[0] == "tmpnb_node_state" and ("node", "n1") in key[1]]
    assert states == [labelled("tmpnb_node_state", node="n1", health="up", intent="active")]


def test_a_node_that_was_removed_leaves_no_series_behind(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    assert fleet.admin("DELETE", "/api/nodes/n1", json={"force": True}).status_code == 200
    fleet.tick()
    assert not [key for key in scrape(fleet) if ("node", "n1") in key[1]]


def test_the_poller_is_named_and_the_board_has_an_age(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1"))
    found = scrape(fleet)
    holders = [key for key in found if key[0] == "tmpnb_poller"]
    assert len(holders) == 1
    assert 0 <= found[labelled("tmpnb_board_age_seconds")] < 60
    assert found[labelled("tmpnb_node_polls_total", node="n1")] >= 1


def test_an_image_that_fails_shows_as_a_pool_with_a_problem(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert scrape(fleet)[labelled("tmpnb_node_pool_problem", node="n1", pool="default")] == 0
    node.problem = "no such image"
    fleet.tick()
    assert scrape(fleet)[labelled("tmpnb_node_pool_problem", node="n1", pool="default")] == 1


def test_without_the_database_there_are_no_counters_rather_than_zeros(tmp_path: Path, nodes: FakeNodes) -> None:
    with stepped_worker(tmp_path / "state") as fleet:
        fleet.add(nodes.add("n1"))
        (tmp_path / "state").rename(tmp_path / "gone")
        (tmp_path / "state").write_text("no directory")
        fleet.worker.database.close()
        found = scrape(fleet)
        (tmp_path / "state").unlink()
        (tmp_path / "gone").rename(tmp_path / "state")
    assert found[labelled("tmpnb_database_up")] == 0
    assert not [key for key in found if key[0] == "tmpnb_visitors_total"]
    assert found[labelled("tmpnb_node_slots", node="n1", pool="default", state="available")] == 5


def test_no_token_is_in_the_metrics(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1"))
    text = fleet.admin("GET", "/metrics").text
    assert ADMIN_TOKEN not in text
    assert "a-node-token" not in text


@pytest.mark.parametrize("name", ['evil"} 1\nx{y="', "\\"])
def test_what_a_node_calls_its_pools_cannot_break_the_format(fleet: SteppedWorker, nodes: FakeNodes, name: str) -> None:
    fleet.add(nodes.add("n1", pools={name: 2}))
    assert scrape(fleet)[labelled("tmpnb_node_capacity", node="n1", pool=name)] == 2
