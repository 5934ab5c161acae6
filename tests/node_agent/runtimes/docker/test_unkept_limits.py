"""Engines that say that they do not keep limits: strangers get no sandbox there, unless that is accepted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.preflight import check_capabilities, check_warnings
from tests.support.docker_host import local_engine
from tests.support.docker_node import containers, docker_node, health
from tests.support.engine_relay import EngineRelay, relayed
from tests.support.live_node import run, settled
from tests.support.waiting import wait_until

DISCARDED = "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
FOREIGN = "The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64)"


class WithoutMemoryGroups(EngineRelay):
    """As on a kernel that was booted without memory control groups; here the limits stay in force all the same."""

    def changed(self, method: str, path: str, body: Any) -> Any:
        return {**body, "Warnings": [DISCARDED]} if method == "POST" and "/containers/create" in path else body


@pytest.fixture
def socket() -> Iterator[Path]:
    with (
        local_engine(),
        tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as place,
        relayed(WithoutMemoryGroups(), Path(place)) as socket,
    ):
        yield socket


@pytest.mark.docker
def test_no_sandbox_starts_on_an_engine_that_discards_limits_and_the_node_says_why(socket: Path) -> None:
    with docker_node(socket) as node:
        node.start()
        wait_until(node.stats, 30, "the node")
        wait_until(lambda: DISCARDED.rstrip(".") in health(node).get("message", ""), 30, "the reason")
        assert "TMPNB_NODE_UNKEPT_LIMITS=accept" in health(node)["message"]
        assert node.stats()["available"] == 0
        assert DISCARDED in node.agent.log.read_text()
        wait_until(lambda: not containers(node), 30, "the refused containers to be removed")
        tried = run(node, "check-image", node.settings["TMPNB_NODE_IMAGE"])
        assert (tried.returncode, DISCARDED.rstrip(".") in tried.stdout) == (1, True)


@pytest.mark.docker
def test_whoever_accepts_that_limits_are_not_kept_gets_sandboxes_and_one_line_in_the_log(socket: Path) -> None:
    with docker_node(socket, UNKEPT_LIMITS="accept") as node:
        node.start()
        settled(node, available=2)
        assert node.agent.log.read_text().count(DISCARDED) == 1


def test_warnings_that_are_about_no_limit_stop_nothing() -> None:
    check_warnings([])
    check_warnings([FOREIGN])
    with pytest.raises(EngineError, match=r"Limitation discarded\. Strangers"):
        check_warnings([FOREIGN, DISCARDED])


def test_an_engine_that_says_in_advance_that_it_cannot_keep_a_limit_is_refused() -> None:
    info = {"MemoryLimit": True, "SwapLimit": True, "PidsLimit": True, "CPUShares": True, "CpuCfsQuota": False}
    check_capabilities(info, [DockerLimits()])
    check_capabilities({}, [DockerLimits()])
    with pytest.raises(EngineError, match="no limit on processors"):
        check_capabilities(info, [DockerLimits(), DockerLimits(cpus=1)])
    with pytest.raises(EngineError, match="no limit on memory, no limit on swap"):
        check_capabilities({**info, "MemoryLimit": False, "SwapLimit": False}, [DockerLimits()])
