"""`tmpnb roll` to images that have to be pulled from a real registry: a slow one, and one that stops in the middle."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.docker_host import TEMPLATE, local_engine, sandbox_image
from tests.support.live_fleet import LiveFleet
from tests.support.slow_registry import Registry, slow_registry
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(300)]

CAPACITY = 2
QUICK = ("--every", "0.3")
MIB = 1 << 20


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with (
        local_engine(),
        tempfile.TemporaryDirectory() as place,
        slow_registry(Path(place)) as registry,
    ):
        yield registry


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    settings = {"RUNTIME": "docker", "IMAGE": sandbox_image(), "COMMAND": TEMPLATE, "PULL": "1", "TRIAL_SECONDS": "0"}
    with LiveFleet(1, CAPACITY, **{f"TMPNB_NODE_{name}": value for name, value in settings.items()}) as fleet:
        fleet.wait_until_available(CAPACITY)
        yield fleet


@pytest.fixture(autouse=True)
def unhurt(registry: Registry, fleet: LiveFleet) -> Iterator[None]:
    registry.relay.rate, registry.relay.budget = 10**9, 10**12
    yield
    assert pool(fleet) == (sandbox_image(), "", CAPACITY)


def pool(fleet: LiveFleet) -> tuple[str, str, int]:
    """Image, problem and ready sandboxes, as the node itself says at this moment."""
    found = fleet.node("n1").stats()["pools"]["default"]
    return found["image"], found["problem"], found["available"]


def alarms(fleet: LiveFleet) -> list[str]:
    return list(fleet.admin("GET", "/api/fleet").json()["alarms"])


def test_a_pull_that_takes_its_time_is_no_fault_and_nothing_moves_before_it_is_done(
    registry: Registry, fleet: LiveFleet
) -> None:
    image = registry.publish(4 * MIB)
    registry.relay.rate = MIB
    roll = fleet.operator("roll", image, *QUICK)
    try:
        assert roll.stdout is not None
        lines = iter(roll.stdout.readline, "")
        assert re.match(rf"n1: fetches {image}: (just begun|\d+ % of 4 MiB)\n", next(lines))
        assert pool(fleet) == (sandbox_image(), "", CAPACITY)
        assert requests.get(f"{fleet.node('n1').url}/healthz", timeout=10).json() == {"status": "ok"}
        assert alarms(fleet) == []
        assert f"n1: moves to {image}\n" in lines, "once it is there"
    finally:
        roll.kill()
        roll.communicate(timeout=10)
    # It holds no server, and what these tests' sandboxes run has no kernels to prove the way back with.
    fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": sandbox_image()})
    wait_until(lambda: pool(fleet) == (sandbox_image(), "", CAPACITY), 30, "the pool to be what it was")


def test_a_registry_that_stops_in_the_middle_of_a_layer_leaves_everything_as_it_was(
    registry: Registry, fleet: LiveFleet
) -> None:
    image = registry.publish(4 * MIB)
    registry.relay.budget = 2 * MIB
    done = fleet.tmpnb("roll", image, "--timeout", "5", *QUICK)
    assert done.returncode == 1
    assert re.search(rf"n1: had not fetched {image} within 5 s \(\d+ % of 4 MiB\), and was not moved", done.stderr)
    assert pool(fleet) == (sandbox_image(), "", CAPACITY)
    assert alarms(fleet) == []


def test_an_image_that_no_registry_has_leaves_everything_as_it_was_and_says_why(
    registry: Registry, fleet: LiveFleet
) -> None:
    image = f"127.0.0.1:{registry.relay.port}/bulk:none"
    done = fleet.tmpnb("roll", image, *QUICK)
    assert done.returncode == 1
    assert f"n1: image {image} is not on this host and cannot be pulled: " in done.stderr
    assert "; it was not moved" in done.stderr
    assert pool(fleet) == (sandbox_image(), "", CAPACITY)
    assert alarms(fleet) == []
