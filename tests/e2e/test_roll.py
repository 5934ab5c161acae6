"""`tmpnb roll` over two nodes on a real engine, with notebook images that differ. The tests go on from one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.support.docker_host import local_engine, notebook_image, notebook_image_with
from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveFleet

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(300)]

CAPACITY = 3
QUICK = ("--every", "0.3")
EDITION = "import os; print(os.environ.get('EDITION', 'first'))"


@dataclass(frozen=True)
class Images:
    """What the fleet is rolled to and fro between."""

    first: str
    second: str
    broken: str
    """Its servers start and show the landing page; its kernels do not start."""


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    with local_engine():
        no_kernel = "RUN python3 -c 'import ipykernel, shutil; shutil.rmtree(ipykernel.__path__[0])'"
        yield Images(
            notebook_image(),
            notebook_image_with("ENV EDITION=second"),
            notebook_image_with(f"USER 0\n{no_kernel}\nUSER 1000:1000"),
        )


@pytest.fixture(scope="module")
def fleet(images: Images) -> Iterator[LiveFleet]:
    settings = {"TMPNB_NODE_RUNTIME": "docker", "TMPNB_NODE_IMAGE": images.first, "TMPNB_NODE_PULL": "0"}
    with LiveFleet(2, CAPACITY, **settings) as fleet:
        fleet.wait_until_available(2 * CAPACITY)
        yield fleet


def image_of(fleet: LiveFleet, name: str) -> str:
    """As the node itself says, at this moment."""
    return str(fleet.node(name).stats()["pools"]["default"]["image"])


def ready_on(fleet: LiveFleet, name: str) -> set[str]:
    """The sandboxes that wait for a visitor there."""
    node = fleet.node(name)
    headers = {"Authorization": f"Bearer {node.token}"}
    found = requests.get(f"{node.url}/api/sandboxes", headers=headers, timeout=10).json()["sandboxes"]
    return {sandbox["name"] for sandbox in found if sandbox["state"] == "ready"}


def visitor_on(fleet: LiveFleet, name: str) -> Kernel:
    """Somebody whom the fleet placed on that node, with a kernel."""
    node = fleet.node(name)
    headers = {"Authorization": f"Bearer {node.token}"}
    claimed = requests.post(f"{node.url}/api/spawn", headers=headers, timeout=30).json()
    return Kernel(base_of(f"{node.url}{claimed['url']}"))


def test_a_roll_goes_node_by_node_and_no_session_notices(fleet: LiveFleet, images: Images) -> None:
    sessions = [visitor_on(fleet, name) for name in ("n1", "n2")]
    for kernel in sessions:
        kernel.run("mine = 41")
    done = fleet.tmpnb("roll", images.second, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["n1", "n1", "n2", "n2"]
    assert "n1: runs" in done.stdout.splitlines()[1], "before anything was done to n2"
    for kernel in sessions:
        assert kernel.run(f"{EDITION}; print(mine + 1)").split() == ["first", "42"]
        kernel.close()
    for newcomer in (
        *(visitor_on(fleet, name) for name in ("n1", "n2")),
        Kernel(base_of(fleet.visit().headers["Location"])),
    ):
        with newcomer as kernel:
            assert kernel.run(EDITION) == "second"
    assert "nothing to do" in fleet.tmpnb("roll", images.second, *QUICK).stdout


def test_a_broken_image_stops_at_the_first_node_and_there_is_a_way_back(fleet: LiveFleet, images: Images) -> None:
    untouched = ready_on(fleet, "n2")
    done = fleet.tmpnb("roll", images.broken, *QUICK)
    assert done.returncode == 1
    assert "n1: its selftest failed" in done.stderr
    assert "0 of 2 nodes are done" in done.stderr
    back = f"tmpnb roll {images.broken} --pool default --back"
    assert f"the way back: {back}" in done.stderr
    assert image_of(fleet, "n2") == images.second
    assert ready_on(fleet, "n2") == untouched
    returned = fleet.tmpnb(*back.split()[1:], *QUICK)
    assert returned.returncode == 0, returned.stdout + returned.stderr
    assert image_of(fleet, "n1") == images.second
    assert ready_on(fleet, "n2") == untouched


def test_an_image_that_is_nowhere_stops_at_the_first_node_and_says_why(fleet: LiveFleet, images: Images) -> None:
    ready = ready_on(fleet, "n1")
    done = fleet.tmpnb("roll", "tmpnb-no-such-image:1", *QUICK)
    assert done.returncode == 1
    assert "image tmpnb-no-such-image:1 is not on this host" in done.stderr
    assert ready_on(fleet, "n1") == ready, "what works is kept until there is something better"
    assert image_of(fleet, "n2") == images.second
    assert fleet.tmpnb("roll", "tmpnb-no-such-image:1", "--back", *QUICK).returncode == 0


def test_a_roll_that_was_killed_goes_on_when_it_is_run_again(fleet: LiveFleet, images: Images) -> None:
    first = fleet.operator("roll", images.first, *QUICK)
    assert first.stdout is not None
    assert first.stdout.readline() == f"n1: moves to {images.first}\n"
    first.kill()
    first.communicate(timeout=10)
    assert image_of(fleet, "n2") == images.second
    done = fleet.tmpnb("roll", images.first, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.split(images.first)[0].strip() for line in done.stdout.splitlines()]
    assert said == ["n1: runs", "n2: moves to", "n2: runs"]
    assert image_of(fleet, "n2") == images.first
