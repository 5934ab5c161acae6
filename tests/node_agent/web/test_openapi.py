"""The node's document is what is served, and calls that follow it, or break it, are answered as it says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis

from node_agent.web import create_app, openapi
from tests.support.blobs import digest_of, tar_of
from tests.support.node_pools import Bench, one_bench
from tests.support.node_web import TOKEN, make_node
from tests.support.openapi_calls import auth_of, exercise, served

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[3] / "docs" / "openapi-node.json"
PEOPLE = {"entry", "info", "left"}
"""Blueprints whose answers are pages, or for the scripts of pages."""
CAPACITY = 3
BLOB = tar_of({"a.txt": b"a"})


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench(warm=CAPACITY, capacity=CAPACITY) as bench:
        bench.fill()
        yield bench


def test_every_call_that_is_served_is_in_the_document_and_every_other_one_is_not(bench: Bench, tmp_path: Path) -> None:
    documented = {(call.method, call.path) for call in openapi.calls()}
    assert documented == served(create_app(make_node(bench, tmp_path)), without=PEOPLE)


def test_the_shipped_document_is_the_served_one(bench: Bench, tmp_path: Path) -> None:
    answer = create_app(make_node(bench, tmp_path)).test_client().get("/api/openapi.json")
    assert json.loads(SHIPPED.read_text()) == answer.get_json(), "run `make docs`"


@pytest.mark.parametrize("token", ["", "wrong", "right"])
def test_calls_of_every_kind_are_answered_as_documented(token: str, bench: Bench, tmp_path: Path) -> None:
    given = {"right": {"Authorization": f"Bearer {TOKEN}"}, "wrong": {"Authorization": "Bearer wrong"}, "": {}}[token]
    statuses: Counter[int] = Counter()
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", create_app(make_node(bench, tmp_path)))
    schema.validate()
    for result in schema.get_all_operations():
        operation: Any = cast("Any", result).ok()
        headers = given if token != "right" or auth_of(operation.definition.raw) else {}
        if "{" in operation.path:
            exercise(operation, headers, None, statuses, examples=2)
        refill(bench)
        names = real_names(bench, operation.path)
        exercise(operation, headers, names or None, statuses, examples=8 if token == "right" else 2)
    assert statuses[500] == 0
    assert statuses[200], "some call has to succeed"
    refill(bench)


def real_names(bench: Bench, path: str) -> Mapping[str, str]:
    """Names of what is there, for the parameters of a path."""
    if "{digest}" in path:
        return {"digest": digest_of(BLOB)}
    if path.startswith("/api/pools/"):
        return {"name": "r"}
    if path.startswith("/api/sandboxes/"):
        return {"name": bench.table.all()[0].name}
    return {}


def refill(bench: Bench) -> None:
    """End all that was handed out, and see every pool become full again: no slot is lost."""
    bench.pools.draining = lambda: False
    for pool in bench.pools.stats():
        bench.overrides.change(bench.pools, pool, warm=CAPACITY, capacity=CAPACITY)
    for sandbox in bench.table.all():
        bench.table.end(sandbox.name, "operator")
    bench.settle(
        lambda: all((pool.available, pool.ending) == (CAPACITY, 0) for pool in bench.pools.stats().values()),
        "every slot to be free again",
    )
