"""Tests of the control calls for a node's software: pools, trials, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from node_agent.jupyter.kernel_session import KernelError
from node_agent.pools.specs import Memory, PoolSpec
from node_agent.runtimes.contract import ImageState
from node_agent.web import create_app
from tests.support.node_pools import Bench, one_bench
from tests.support.node_web import AUTH, make_node
from tmpnb_common.wire import DEFAULT_POOL

MEMORY = Memory(total=10**9, reserve=10**8)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench(
        specs=[PoolSpec(DEFAULT_POOL, "an-image", 3, 3), PoolSpec("r", "r:1", 1, 1)], memory=MEMORY
    ) as bench:
        bench.settle(lambda: bench.stats().available == 3 and bench.pools.stats()["r"].available == 1)
        yield bench


@pytest.fixture
def client(bench: Bench, tmp_path: Path) -> FlaskClient:
    return create_app(make_node(bench, tmp_path)).test_client()


def test_a_pool_is_resized_and_the_answer_says_how_it_is_wanted_now(client: FlaskClient, bench: Bench) -> None:
    answer = client.put("/api/pools/r", json={"capacity": 2}, headers=AUTH)
    assert answer.status_code == 200
    assert answer.json == {"name": "r", "image": "r:1", "warm": 2, "capacity": 2, "content": ""}
    bench.settle(lambda: bench.pools.stats()["r"].available == 2, "the pool to grow")


@pytest.mark.parametrize(
    ("pool", "body", "refusal"),
    [
        ("gpu", {"capacity": 2}, (404, "unknown_pool")),
        ("r", {"capacity": 10_001}, (400, "bad_request")),
        ("r", {"capacity": -1}, (400, "bad_request")),
        ("r", {"warm": 2}, (400, "bad_request")),
        ("r", {"warm": "2"}, (400, "bad_request")),
        ("r", {"image": "-v /:/host"}, (400, "bad_request")),
        ("r", {"image": 7}, (400, "bad_request")),
        ("r", ["image"], (400, "bad_request")),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_in_words(
    client: FlaskClient, bench: Bench, pool: str, body: object, refusal: tuple[int, str]
) -> None:
    answer = client.put(f"/api/pools/{pool}", json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["status"]) == refusal
    assert bench.overrides.specs()[1] == PoolSpec("r", "r:1", 1, 1)


def test_a_trial_that_passes_answers_200_with_what_was_measured(client: FlaskClient) -> None:
    answer = client.post("/api/selftest", json={"pool": "r"}, headers=AUTH)
    said = answer.get_json()
    assert (answer.status_code, said["status"], said["pool"], said["image"]) == (200, "passed", "r", "r:1")
    assert said["start_seconds"] >= 0


def test_a_trial_that_fails_answers_503_with_the_reason(client: FlaskClient, bench: Bench) -> None:
    bench.kernel.error = KernelError("the kernel died")
    answer = client.post("/api/selftest", headers=AUTH)
    assert (answer.status_code, answer.get_json()["status"]) == (503, "selftest_failed")
    assert "the kernel died" in answer.get_json()["message"]


def test_a_trial_of_an_unknown_pool_is_a_404(client: FlaskClient) -> None:
    assert client.post("/api/selftest", json={"pool": "gpu"}, headers=AUTH).get_json()["status"] == "unknown_pool"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/pools/r"), ("POST", "/api/selftest"), ("GET", "/metrics")])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_without_the_nodes_token_nothing_of_this_is_to_be_had(
    client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert client.open(path, method=method, headers=headers).status_code == 403


def test_the_metrics_say_what_is_there_and_what_was_done(client: FlaskClient, bench: Bench) -> None:
    assert client.post("/api/spawn").status_code == 200
    assert client.post("/api/spawn", json={"pool": "r"}).status_code == 200
    assert client.post("/api/spawn", json={"pool": "r"}).status_code == 429
    families = text_string_to_metric_families(client.get("/metrics", headers=AUTH).get_data(as_text=True))
    found = {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}
    assert found["tmpnb_agent_sandboxes", "default", "ready"] == 2
    assert found["tmpnb_agent_sandboxes", "claimed", "default"] == 1
    assert found["tmpnb_agent_capacity", "r"] == 1
    assert found["tmpnb_agent_claims_total", "r"] == 1
    assert found["tmpnb_agent_refusals_total", "full", "r"] == 1
    assert found["tmpnb_agent_starts_total", "default", "ready"] == 3
    assert found["tmpnb_agent_start_seconds_count", "default"] == 3
    assert found["tmpnb_agent_memory_left_bytes",] == 6 * 10**8
    assert found["tmpnb_agent_healthy",] == 1
    assert found["tmpnb_agent_draining",] == 0
    assert bench.stats().claimed == 1


def test_the_metrics_count_ends_by_reason_and_starts_that_failed(client: FlaskClient, bench: Bench) -> None:
    bench.engine.refuses = "no such image"
    client.delete("/api/pool", headers=AUTH)
    bench.settle(lambda: bool(bench.stats().problem), "a failure")
    text = client.get("/metrics", headers=AUTH).get_data(as_text=True)
    assert 'tmpnb_agent_ends_total{reason="operator"} 4.0' in text
    assert 'tmpnb_agent_starts_total{pool="default",result="failed"}' in text
    assert 'tmpnb_agent_pool_problem{pool="default"} 1.0' in text


COMING = ImageState(there=False, progress="40 % of 300 MiB")
NOWHERE = ImageState(there=False, problem="image new is not on this host and cannot be pulled: manifest unknown")


def move(client: FlaskClient, bench: Bench, state: ImageState) -> None:
    bench.engine.images["new"] = state
    assert client.put(f"/api/pools/{DEFAULT_POOL}", json={"image": "new"}, headers=AUTH).status_code == 200
    for _ in range(3):
        bench.turn()


def test_an_image_that_is_being_fetched_is_no_problem_and_costs_nothing_that_is_ready(
    client: FlaskClient, bench: Bench
) -> None:
    move(client, bench, COMING)
    pool = client.get("/stats").get_json()["pools"][DEFAULT_POOL]
    assert (pool["fetching"], pool["problem"], pool["available"]) == ("40 % of 300 MiB", "", 3)
    assert client.get("/healthz").status_code == 200
    bench.engine.images.clear()
    bench.settle(lambda: bench.stats().available == 3 and not bench.stats().stale, "the pool to move")
    assert bench.stats().fetching == ""


def test_an_image_that_cannot_be_fetched_is_a_problem_and_costs_nothing_that_is_ready(
    client: FlaskClient, bench: Bench
) -> None:
    move(client, bench, NOWHERE)
    pool = client.get("/stats").get_json()["pools"][DEFAULT_POOL]
    assert (pool["fetching"], pool["problem"], pool["available"]) == ("", NOWHERE.problem, 3)
    assert client.get("/healthz").status_code == 503
    bench.engine.images.clear()
    bench.settle(lambda: bench.stats().available == 3 and not bench.stats().stale, "the pool to move")
    assert client.get("/healthz").status_code == 200


def test_an_image_can_be_fetched_before_anything_moves(client: FlaskClient, bench: Bench) -> None:
    bench.engine.images["new"] = COMING
    path = f"/api/pools/{DEFAULT_POOL}/fetch"
    answer = client.post(path, json={"image": "new"}, headers=AUTH).get_json()
    assert answer == {"there": False, "progress": "40 % of 300 MiB", "problem": ""}
    bench.engine.images.clear()
    assert client.post(path, json={"image": "new"}, headers=AUTH).get_json()["there"] is True
    assert bench.pools.stats()[DEFAULT_POOL].image == "an-image"
    assert client.post("/api/pools/none/fetch", json={"image": "new"}, headers=AUTH).status_code == 404
    assert client.post(path, json={}, headers=AUTH).status_code == 400
    assert client.post(path, json={"image": "new"}).status_code == 403
