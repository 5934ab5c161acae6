"""A node on a real engine heals: parts killed, containers removed, the engine itself killed, its disk full."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.docker_host import inside, local_engine, sandbox_image
from tests.support.docker_node import containers, docker_node, ends, health, remove, status
from tests.support.engine_relay import EngineRelay, relayed
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, run, settled
from tests.support.second_engine import SecondEngine, second_engine
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

TICKET = "a-ticket-0123456789-0123456789"
HEAL_SECONDS = 60.0


@pytest.fixture
def node() -> Iterator[LiveNode]:
    with local_engine(), docker_node() as node:
        node.start()
        settled(node, available=2)
        yield node


def test_a_session_outlives_a_kill_of_agent_and_proxy_and_keeps_its_ticket(node: LiveNode) -> None:
    session = claim(node, ticket=TICKET)
    node.agent.kill()
    assert status(session) == 200, "nginx needs no agent for it"
    node.proxy.kill()
    node.start()
    wait_until(node.stats, HEAL_SECONDS, "the node to answer")
    settled(node, claimed=1, available=1)
    assert status(session) == 200
    assert claim(node, ticket=TICKET) == session


def test_containers_removed_by_hand_are_gone_for_visitors_counted_and_replaced(node: LiveNode) -> None:
    session = claim(node)
    settled(node, claimed=1, available=1)
    remove(node)
    wait_until(lambda: status(session) == 410, HEAL_SECONDS, "the session to be gone")
    settled(node, claimed=0, available=2)
    assert ends(node)["dead"] == 2


def test_after_a_reboot_directories_without_containers_go_and_the_pool_is_full_again(node: LiveNode) -> None:
    session = claim(node)
    settled(node, claimed=1, available=1)
    node.agent.kill()
    remove(node)
    node.agent.start()
    settled(node, claimed=0, available=2)
    assert status(session) == 410
    assert len(list((node.run_dir / "ready").iterdir())) == 2
    assert list((node.run_dir / "user").iterdir()) == []
    assert list((node.run_dir / "tickets").iterdir()) == []


def test_a_node_that_is_renamed_keeps_its_sessions_and_containers_and_purge_ends_them(node: LiveNode) -> None:
    """As a container without a name in its settings is at every recreation, after its host name."""
    session, before = claim(node), containers(node)
    settled(node, claimed=1, available=1)
    node.agent.stop()
    node.settings["TMPNB_NODE_NAME"] = "renamed"
    node.agent.start()
    settled(node, claimed=1, available=1)
    assert status(session) == 200
    assert before.keys() <= containers(node).keys()
    node.agent.stop()
    node.settings["TMPNB_NODE_NAME"] = "once-more"
    assert run(node, "purge").returncode == 0
    assert containers(node) == {}


def test_purge_after_a_reboot_before_the_agent_starts_leaves_no_container(node: LiveNode) -> None:
    """The run directory is gone then, as it lies in memory; containers, ended or not, are still there."""
    assert len(containers(node)) == 2
    node.agent.kill()
    node.proxy.stop()
    shutil.rmtree(node.run_dir)
    purged = run(node, "purge")
    assert (purged.returncode, purged.stderr) == (0, "ended 2 sandboxes\n")
    assert containers(node) == {}


def test_containers_without_directories_are_ended_and_the_pool_is_full_again(node: LiveNode) -> None:
    before = containers(node)
    node.agent.kill()
    subprocess.run(["rm", "-rf", *map(str, (node.run_dir / "ready").iterdir())], check=True)
    node.agent.start()
    settled(node, available=2)
    wait_until(lambda: len(containers(node)) == 2, HEAL_SECONDS, "two containers")
    assert not before.keys() & containers(node).keys()


class Clinging(EngineRelay):
    """An engine that cannot remove some containers, as with a busy mount."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: set[str] = set()

    def refusal(self, method: str, path: str) -> tuple[int, str] | None:
        if method == "DELETE" and any(container in path for container in self.stuck):
            return 500, "failed to remove root filesystem: device or resource busy"
        return None


def test_sandboxes_that_cannot_be_removed_are_a_number_and_few_lines_and_go_when_they_can() -> None:
    relay = Clinging()
    with (
        local_engine(),
        tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as place,
        relayed(relay, Path(place)) as socket,
        docker_node(socket, CAPACITY="3") as node,
    ):
        node.start()
        settled(node, available=3)
        for _ in range(2):
            claim(node)
        settled(node, available=1, claimed=2)
        headers = {"Authorization": f"Bearer {node.token}"}
        listed = requests.get(f"{node.url}/api/sandboxes", headers=headers, timeout=10).json()["sandboxes"]
        claimed = [sandbox["name"] for sandbox in listed if sandbox["state"] == "claimed"]
        relay.stuck |= {containers(node)[name] for name in claimed}
        for name in claimed:
            requests.delete(f"{node.url}/api/sandboxes/{name}", headers=headers, timeout=10)
        settled(node, available=1, claimed=0, ending=2)
        wait_until(lambda: "device or resource busy" in node.agent.log.read_text(), HEAL_SECONDS, "the reason")
        stats = node.stats()
        assert sum(stats[state] for state in ("available", "starting", "claimed", "startable", "ending")) == 3
        assert "ending 2" in run(node, "status").stdout
        metrics = requests.get(f"{node.url}/metrics", headers=headers, timeout=10).text
        assert 'tmpnb_agent_sandboxes{pool="default",state="ending"} 2.0' in metrics
        lines = [line for line in node.agent.log.read_text().splitlines() if "cannot be removed" in line]
        assert 1 <= len(lines) <= 3
        relay.stuck.clear()
        settled(node, available=3, ending=0)


@contextmanager
def on_second_engine(*, live_restore: bool = False, disk: str = "") -> Iterator[tuple[SecondEngine, LiveNode]]:
    with second_engine(live_restore=live_restore, disk=disk) as engine:
        engine.load(sandbox_image())
        with docker_node(engine.socket) as node:
            node.start()
            settled(node, available=2)
            yield engine, node


@pytest.mark.parametrize("live_restore", [False, True], ids=["without-live-restore", "with-live-restore"])
def test_an_engine_that_is_killed_takes_only_what_it_must(*, live_restore: bool) -> None:
    """While it is away sessions go on and what is ready is handed out; back, sessions survive with live-restore."""
    with on_second_engine(live_restore=live_restore) as (engine, node):
        first = claim(node)
        settled(node, claimed=1, available=1)
        engine.kill()
        wait_until(lambda: health(node)["status"] == "unhealthy", HEAL_SECONDS, "the node to notice")
        assert node.stats()["startable"] == 0, "nothing is promised that cannot be kept"
        second = claim(node)
        assert (status(first), status(second)) == (200, 200)
        engine.start()
        wait_until(lambda: health(node)["status"] == "ok", HEAL_SECONDS, "the node to be well")
        if live_restore:
            settled(node, claimed=2, available=0)
            assert (status(first), status(second)) == (200, 200)
        else:
            settled(node, claimed=0, available=2)
            assert (status(first), status(second)) == (410, 410)
            assert ends(node)["dead"] == 2


def test_an_agent_that_sees_the_engine_s_directory_alone_finds_the_socket_of_an_engine_that_was_restarted() -> None:
    """As in the compose file: a mounted socket would go on leading to the engine before."""
    with second_engine(live_restore=True) as engine, tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as seen:
        engine.load(sandbox_image())
        with docker_node(engine.socket) as node:
            node.agent.settings = node.settings | {"TMPNB_NODE_ENGINE": f"{seen}/docker.sock"}
            mount = f"mount --make-rprivate / && mount --rbind {engine.root} {seen} && mount -o remount,bind,ro {seen}"
            node.agent.argv = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", *node.agent.argv]
            node.start()
            settled(node, available=2)
            engine.kill()
            wait_until(lambda: health(node)["status"] == "unhealthy", HEAL_SECONDS, "the node to notice")
            claim(node)
            engine.socket.unlink()
            engine.start()
            settled(node, claimed=1, available=1)


def test_a_full_disk_stops_the_refill_with_its_reason_leaves_sessions_alone_and_heals() -> None:
    with on_second_engine(disk="1g") as (engine, node):
        session = claim(node)
        filler = engine.data / "filler"
        left = os.statvfs(engine.data)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)
        headers = {"Authorization": f"Bearer {node.token}"}
        resized = requests.put(f"{node.url}/api/pools/default", json={"capacity": 4}, headers=headers, timeout=10)
        assert resized.json()["warm"] == 4
        wait_until(lambda: "no space left" in str(health(node).get("message")), HEAL_SECONDS, "the reason to show")
        assert status(session) == 200
        assert node.stats()["startable"] == 0
        filler.unlink()
        settled(node, claimed=1, available=3)
        assert health(node)["status"] == "ok"
        assert status(session) == 200


EATERS = "for _ in 1 2 3 4 5 6; do python3 -c 'x = b\"x\" * (15 << 20); import time; time.sleep(60)' & done; wait"
RUN_OUT = f"echo 1000 > /proc/$PPID/oom_score_adj; {EATERS}"
"""The shell's parent is the server itself: the kernel takes it before any of the small ones that fill the memory."""


def test_a_session_out_of_memory_is_gone_for_its_visitor_counted_and_replaced() -> None:
    with local_engine(), docker_node(MEMORY="64m", HOME="8m", TMP="8m", SHM="8m") as node:
        node.start()
        settled(node, available=2)
        session = claim(node)
        directory = next((node.run_dir / "user").iterdir())
        with pytest.raises((OSError, ValueError)):
            inside(directory, RUN_OUT)
        wait_until(lambda: status(session) == 410, HEAL_SECONDS, "the session to be gone")
        settled(node, claimed=0, available=2)
        assert ends(node)["dead"] == 1
        # Some kernels do not tell the engine of it; it is said as a guess then.
        assert "out of memory" in node.agent.log.read_text()
