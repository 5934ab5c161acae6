"""The polling host alone is cut off from a node: another host's word keeps it in use."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from redirector.model.nodes import Failure, FailureKind, Health
from redirector.placing.witness import Witness
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker


@pytest.fixture
def node(nodes: FakeNodes, fleet: SteppedWorker, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """One that the polling host does not reach any more."""
    node, other = nodes.add("n1", ready=5), nodes.add("n2", ready=0)
    fleet.add(node, other)
    stats = fleet.worker.client.stats
    away = Failure(FailureKind.TIMEOUT, "no answer within 0.6 s")
    monkeypatch.setattr(fleet.worker.client, "stats", lambda url: away if url == node.url else stats(url))
    return node


@pytest.fixture
def elsewhere(fleet: SteppedWorker) -> Iterator[SteppedWorker]:
    """A worker on another host of the same fleet."""
    with stepped_worker(fleet.settings.state) as other:
        yield other


def look(worker: SteppedWorker, host: str) -> None:
    """Let a worker of that host see what it can reach, and tell."""
    worker.worker.sync_loop.tick()
    parts = worker.worker
    witness = Witness(
        host=host, fleet_state=parts.fleet_state, outbox=parts.outbox, stats=parts.client.stats, rng=Random(1)
    )
    witness.look(worker.executor)
    worker.worker.sync_loop.tick()


def test_a_node_that_another_host_reaches_does_not_go_down(
    fleet: SteppedWorker, elsewhere: SteppedWorker, node: FakeNode
) -> None:
    for _ in range(6):
        fleet.tick()
        look(elsewhere, "another-host")
    fleet.tick()
    assert fleet.seen(node).health is Health.SUSPECT
    elsewhere.worker.sync_loop.tick()
    assert elsewhere.visit("/lab").headers["Location"].startswith(node.url)


def test_a_node_that_is_down_is_in_use_again_once_another_host_reaches_it(
    fleet: SteppedWorker, elsewhere: SteppedWorker, node: FakeNode
) -> None:
    fleet.tick(4)
    assert fleet.seen(node).health is Health.DOWN
    look(elsewhere, "another-host")
    fleet.worker.poller.listen(fleet.executor)
    assert fleet.seen(node).health is Health.SUSPECT
    assert fleet.seen(node).reason == "no answer within 0.6 s; another redirector host reaches it"


def test_the_polling_hosts_other_workers_are_no_second_opinion(
    fleet: SteppedWorker, elsewhere: SteppedWorker, node: FakeNode
) -> None:
    own_host = fleet.board.holder.partition(":")[0]
    for _ in range(4):
        fleet.tick()
        look(elsewhere, own_host)
    assert fleet.seen(node).health is Health.DOWN


def test_a_node_that_no_host_reaches_goes_down(
    nodes: FakeNodes, fleet: SteppedWorker, elsewhere: SteppedWorker, node: FakeNode
) -> None:
    nodes.die(node)
    for _ in range(4):
        fleet.tick()
        look(elsewhere, "another-host")
    assert fleet.seen(node).health is Health.DOWN


def test_another_machine_at_the_address_is_no_proof(
    fleet: SteppedWorker, elsewhere: SteppedWorker, node: FakeNode
) -> None:
    node.node_id = "another"
    for _ in range(4):
        fleet.tick()
        look(elsewhere, "another-host")
    assert fleet.seen(node).health is Health.DOWN
