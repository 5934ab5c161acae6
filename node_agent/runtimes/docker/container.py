"""The request that creates a sandbox's container on a Docker Engine: plain values in and out.

Nothing loosens what stands here and not in `DockerLimits`: no capability, no new privilege, nothing writable but memory
file systems of bounded size, no swap, no restart, no health check of the image.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker.labels import (
    CONTENT_LABEL,
    IMAGE_LABEL,
    NODE_LABEL,
    POOL_LABEL,
    RUN_LABEL,
    SANDBOX_LABEL,
)
from node_agent.runtimes.docker.limits import DockerLimits, Mount

TMP = "/tmp"  # noqa: S108 - a path in the container, a file system of its own
OPEN_FILES = 4096
HOME_OF_IMAGE = "/opt/tmpnb-home"
"""Where a sandbox sees what its image holds in the home."""
COPY_HOME = f'cp -a {HOME_OF_IMAGE}/. "$HOME" || echo "tmpnb: not all of the home could be copied"'
COPY_CONTENT = 'cp -RP {}/. "$HOME" || { echo "tmpnb: the content could not be copied into the home"; exit 73; }'
"""Without the times, which are those of no file that a person made. 73 is what sysexits.h has for it."""
HOST_NAME = "notebook"
OWN_ADDRESS = "127.0.1.1"
"""Of the host name, as Debian has it: programs look themselves up, and there is nobody else to tell them."""
THREADS_OF_A_SHARE = 2
"""Where nothing limits a sandbox's processors but its share of them."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "JULIA_NUM_THREADS",
    "GOMAXPROCS",
    "PYTHON_CPU_COUNT",
)
"""Libraries start a thread for each of the host's processors unless told otherwise; a sandbox may have few of both."""
OOM_SCORE = 500
"""When the host runs out of memory, its kernel takes a sandbox rather than the engine or nginx."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a sandbox's processes run as, and where that user's home is."""

    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image, made ready for sandboxes."""

    account: Account
    entrypoint: tuple[str, ...] = ()
    """The image's own."""
    home_volume: str = ""
    """The volume with what the image holds in its home; empty: the home starts empty."""


def threads(limits: DockerLimits) -> int:
    """How many threads a library in a sandbox is to compute with."""
    return math.ceil(limits.cpus) or THREADS_OF_A_SHARE


def creation(
    launch: Launch, limits: DockerLimits, *, node: str, run_dir: Path, prepared: Prepared, argv: Sequence[str]
) -> dict[str, Any]:
    """The body of the engine's `POST /containers/create`."""
    account = prepared.account
    few = [(variable, threads(limits)) for variable in THREAD_VARIABLES]
    return {
        "Image": launch.image,
        **_command(launch, limits, prepared, argv),
        # The last one of a name counts.
        "Env": [f"{name}={value}" for name, value in (*few, *limits.environment, ("HOME", account.home))],
        "User": f"{account.uid}:{account.gid}",
        "WorkingDir": account.home,
        "Hostname": HOST_NAME,
        "Labels": {
            NODE_LABEL: node,
            RUN_LABEL: str(run_dir),
            POOL_LABEL: launch.pool,
            SANDBOX_LABEL: launch.name,
            IMAGE_LABEL: launch.image,
            **({CONTENT_LABEL: launch.content} if launch.content else {}),
        },
        # Some images bring one that starts a Python every few seconds, for each of hundreds of sandboxes.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(launch, limits, prepared),
    }


def _command(launch: Launch, limits: DockerLimits, prepared: Prepared, argv: Sequence[str]) -> dict[str, list[str]]:
    if copies := _copies(launch, prepared):
        # Before the image's own ENTRYPOINT, or before the command.
        entrypoint = prepared.entrypoint if limits.entrypoint else ()
        script = "; ".join((*copies, 'exec "$@"'))
        return {"Entrypoint": ["/bin/sh", "-c", script, "fill-home", *entrypoint], "Cmd": list(argv)}
    return {"Cmd": list(argv)} if limits.entrypoint else {"Entrypoint": [], "Cmd": list(argv)}


def _copies(launch: Launch, prepared: Prepared) -> list[str]:
    """What is copied into the home before the server starts, as commands of a shell."""
    copies = [COPY_HOME] if prepared.home_volume else []
    if launch.filling is not None:
        copies.append(COPY_CONTENT.replace("{}", shlex.quote(str(launch.filling)), 1))
    return copies


def _host_config(launch: Launch, limits: DockerLimits, prepared: Prepared) -> dict[str, Any]:
    account = prepared.account
    directory = str(launch.directory)
    # Not noexec: visitors compile things, and an interpreter needs no such permission anyway.
    memory = "rw,exec,nosuid,nodev"
    config = {
        "NetworkMode": limits.network,
        "ReadonlyRootfs": True,
        "Tmpfs": {
            # The owner is named because the home would otherwise be root's, with the mode of the image's directory.
            account.home: f"{memory},size={limits.home_bytes},mode=0700,uid={account.uid},gid={account.gid}",
            TMP: f"{memory},size={limits.tmp_bytes},mode=1777",
        },
        "ShmSize": limits.shm_bytes,
        # As mounts, never as binds: for a directory that is gone a bind would silently make an empty one.
        "Mounts": [
            _bind(Mount(directory, directory, read_only=False)),
            *(_bind(mount) for mount in limits.mounts),
            *([_bind(Mount(str(launch.contents), str(launch.contents)))] if launch.contents else []),
            *([_home(prepared.home_volume)] if prepared.home_volume else []),
        ],
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "OomScoreAdj": OOM_SCORE,
        "CpuShares": limits.cpu_shares,
        "NanoCpus": round(limits.cpus * 1e9),
        "PidsLimit": limits.pids,
        "Ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": OPEN_FILES, "Hard": OPEN_FILES},
        ],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", *([f"seccomp={limits.seccomp}"] if limits.seccomp else [])],
        "IpcMode": "private",
        # Of control groups too it sees its own alone. Engines before 20.10 do not know the word, and pass over it.
        "CgroupnsMode": "private",
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": str(limits.log_bytes), "max-file": "1"}},
        "ExtraHosts": [f"{name}:{address}" for name, address in ((HOST_NAME, OWN_ADDRESS), *limits.extra_hosts)],
    }
    return config | ({"Runtime": limits.oci_runtime} if limits.oci_runtime else {})


def _home(volume: str) -> dict[str, Any]:
    # Without a copy: it was filled when it was made.
    return {
        "Type": "volume",
        "Source": volume,
        "Target": HOME_OF_IMAGE,
        "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True},
    }


def _bind(mount: Mount) -> dict[str, Any]:
    return {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
