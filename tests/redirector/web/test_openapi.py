"""The API's document is what is served, and calls that follow it, or break it, are answered as it says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis

from redirector.web import openapi
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker
from tests.support.openapi_calls import auth_of, exercise, served

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[3] / "docs" / "openapi-redirector.json"
JOIN_TOKEN = "a-join-token-for-tests"
PEOPLE = {"entry", "dashboard", "status", "build"}
"""Blueprints whose answers are pages, or another service's event stream."""
NAMES: Mapping[str, Mapping[str, str]] = {"real": {"name": "n1", "pool": "default"}, "any": {}}


def test_every_call_that_is_served_is_in_the_document_and_every_other_one_is_not(fleet: SteppedWorker) -> None:
    documented = {(call.method, call.path) for call in openapi.calls()}
    assert documented == served(fleet.worker.app, without=PEOPLE)


def test_the_shipped_document_is_the_served_one(fleet: SteppedWorker) -> None:
    assert json.loads(SHIPPED.read_text()) == fleet.web.get("/api/openapi.json").get_json(), "run `make docs`"


@pytest.mark.parametrize("token", ["", "wrong", "right"])
def test_calls_of_every_kind_are_answered_as_documented(token: str, nodes: FakeNodes, tmp_path: Path) -> None:
    headers = {"right": {}, "wrong": {"Authorization": "Bearer wrong"}, "": {}}[token]
    statuses: Counter[int] = Counter()
    with stepped_worker(tmp_path, TMPNB_JOIN_TOKEN=JOIN_TOKEN) as fleet:
        members = [nodes.add("n1", capacity=60, ready=60), nodes.add("n2", capacity=60, ready=60)]
        fleet.add(*members)
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", fleet.worker.app)
        schema.validate()
        for result in schema.get_all_operations():
            operation: Any = cast("Any", result).ok()
            needed = {"admin": ADMIN_TOKEN, "join": JOIN_TOKEN}.get(auth_of(operation.definition.raw), "")
            sent = {"Authorization": f"Bearer {needed}"} if token == "right" and needed else headers
            for names in NAMES.values():
                path_parameters = {name: names[name] for name in names if f"{{{name}}}" in operation.path} or None
                if names and path_parameters is None:
                    continue
                for node in members:
                    if node.name not in fleet.worker.registry.all():
                        fleet.add(node)
                exercise(operation, sent, path_parameters, statuses, examples=8 if token == "right" else 2)
        assert statuses[500] == 0
        handed_out = statuses[-200]
        assert sum(len(node.claims) for node in members) == handed_out, "nobody else got a sandbox"
