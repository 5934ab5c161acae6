"""Fake nodes, and a redirector's worker that a test moves step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.node_client.client import AgentClient
from redirector.node_client.http import BoundedHttp
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.fleet_worker import LONG, SHORT, SteppedWorker, stepped_worker


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def client() -> Iterator[AgentClient]:
    client = AgentClient(BoundedHttp("tests"), poll_seconds=0.5, claim_seconds=0.5)
    yield client
    client.close()


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SteppedWorker]:
    """A worker that waits long for nodes, as on a busy machine it has to, unless the test is about their silence."""
    patience = SHORT if request.node.get_closest_marker("silence") else LONG
    with stepped_worker(tmp_path, **patience) as fleet:
        yield fleet
