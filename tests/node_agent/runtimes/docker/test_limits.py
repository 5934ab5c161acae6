"""What a sandbox may have: sound limits, and the request that creates its container."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker.container import COPY_HOME, Account, Prepared, creation
from node_agent.runtimes.docker.limits import MIB, DockerLimits, Mount, problems
from node_agent.runtimes.docker.seccomp import PROFILE

KEY = "abcdefgh" + "z" * 26
LAUNCH = Launch("abcdefgh", KEY, "default", "tmpnb-notebook", Path("/run/tmpnb/ready") / KEY, "{server}", "/lab")
PREPARED = Prepared(Account(1000, 100, "/home/ada"), ("tini", "--"))


def body(limits: DockerLimits | None = None, prepared: Prepared = PREPARED) -> dict[str, Any]:
    return creation(
        LAUNCH, limits or DockerLimits(), node="n1", run_dir=Path("/run/t"), prepared=prepared, argv=["serve", "it"]
    )


def host_config(limits: DockerLimits | None = None) -> dict[str, Any]:
    config: dict[str, Any] = body(limits)["HostConfig"]
    return config


def test_the_defaults_can_be_used() -> None:
    assert problems(DockerLimits()) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            DockerLimits(memory_bytes=256 * MIB),
            "may hold 256 MiB together, more than half of the memory limit of 256 MiB",
        ),
        (DockerLimits(home_bytes=0), "nothing here is unlimited"),
        (DockerLimits(pids=-1), "nothing here is unlimited"),
        (DockerLimits(cpus=-1), "-1 processors cannot be had"),
        (DockerLimits(user="root"), "user is 'root', neither uid nor uid:gid"),
        (DockerLimits(user="0"), "user is '0'"),
        (DockerLimits(user="0:1000"), "user is '0:1000'"),
        (DockerLimits(network="host"), "network host is not only for sandboxes"),
        (DockerLimits(network="bridge"), "network bridge is not only for sandboxes"),
        (DockerLimits(network="container:db"), "network container:db is not only for sandboxes"),
        (DockerLimits(mounts=(Mount("data", "/data"),)), "must be absolute paths"),
        (DockerLimits(mounts=(Mount("/data", "/"),)), "must be absolute paths"),
        (DockerLimits(mounts=(Mount("/var/run/docker.sock", "/d"),)), "would make every visitor the host's root"),
    ],
)
def test_limits_that_do_not_hold_are_refused(limits: DockerLimits, words: str) -> None:
    [problem] = problems(limits)
    assert words in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(DockerLimits(memory_bytes=1, user="root", network="host"))) == 3


def test_memory_is_hard_and_swap_is_none() -> None:
    config = host_config(DockerLimits(memory_bytes=300 * MIB))
    assert config["Memory"] == config["MemorySwap"] == 300 * MIB


def test_there_is_no_limit_on_processors_beside_the_share_unless_set() -> None:
    assert host_config()["NanoCpus"] == 0
    assert host_config(DockerLimits(cpus=0.5))["NanoCpus"] == 500_000_000


def test_the_root_cannot_be_written_and_what_can_is_in_bounded_memory() -> None:
    config = host_config()
    assert config["ReadonlyRootfs"] is True
    assert config["Tmpfs"] == {
        "/home/ada": f"rw,exec,nosuid,nodev,size={128 * MIB},mode=0700,uid=1000,gid=100",
        "/tmp": f"rw,exec,nosuid,nodev,size={64 * MIB},mode=1777",
    }
    assert config["ShmSize"] == 64 * MIB


def test_the_directory_of_the_socket_is_mounted_where_it_is_on_the_host() -> None:
    directory = f"/run/tmpnb/ready/{KEY}"
    assert host_config()["Mounts"] == [{"Type": "bind", "Source": directory, "Target": directory, "ReadOnly": False}]


def test_further_mounts_are_read_only_unless_said() -> None:
    mounts = host_config(DockerLimits(mounts=(Mount("/a", "/b"), Mount("/c", "/d", read_only=False))))["Mounts"]
    assert [(mount["Target"], mount["ReadOnly"]) for mount in mounts[1:]] == [("/b", True), ("/d", False)]


def test_privileges_cannot_be_had() -> None:
    config = host_config()
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={PROFILE}"]
    assert config["CgroupnsMode"] == "private"
    assert not {"Privileged", "CapAdd", "Devices", "Binds", "PidMode", "UsernsMode"} & set(config)


def test_logs_are_bounded() -> None:
    log = host_config(DockerLimits(log_bytes=4096))["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "4096", "max-file": "1"}}


def test_health_checks_of_the_image_do_not_run() -> None:
    assert body()["Healthcheck"] == {"Test": ["NONE"]}


def test_the_home_is_the_account_s_whatever_the_environment_says() -> None:
    made = body(DockerLimits(environment=(("HOME", "/elsewhere"), ("COURSE", "physics"))))
    assert made["Env"][-3:] == ["HOME=/elsewhere", "COURSE=physics", "HOME=/home/ada"]
    assert made["WorkingDir"] == "/home/ada"


@pytest.mark.parametrize(("cpus", "threads"), [(0.0, 2), (0.5, 1), (1.0, 1), (2.5, 3), (16.0, 16)])
def test_libraries_compute_with_as_many_threads_as_a_sandbox_has_processors(cpus: float, threads: int) -> None:
    made = body(DockerLimits(cpus=cpus))["Env"]
    assert {f"{name}={threads}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")} < set(
        made
    )


def test_an_operator_s_number_of_threads_counts_before_the_agent_s() -> None:
    made = body(DockerLimits(environment=(("OMP_NUM_THREADS", "7"),)))["Env"]
    assert [line for line in made if line.startswith("OMP_NUM_THREADS=")] == ["OMP_NUM_THREADS=2", "OMP_NUM_THREADS=7"]


def test_the_image_s_entrypoint_runs_unless_it_is_set_aside() -> None:
    assert "Entrypoint" not in body()
    assert body(DockerLimits(entrypoint=False))["Entrypoint"] == []


@pytest.mark.parametrize(("entrypoint", "then"), [(True, ["tini", "--"]), (False, [])])
def test_a_home_is_filled_before_anything_else_runs(*, entrypoint: bool, then: list[str]) -> None:
    made = body(DockerLimits(entrypoint=entrypoint), replace(PREPARED, home_volume="v"))
    assert made["Entrypoint"] == ["/bin/sh", "-c", f'{COPY_HOME}; exec "$@"', "fill-home", *then]
    assert made["Cmd"] == ["serve", "it"]
    mount = made["HostConfig"]["Mounts"][-1]
    assert (mount["Type"], mount["Source"], mount["ReadOnly"]) == ("volume", "v", True)


def test_the_engine_s_own_runtime_is_used_unless_another_is_named() -> None:
    assert "Runtime" not in host_config()
    assert host_config(DockerLimits(oci_runtime="runsc"))["Runtime"] == "runsc"
