"""What a sandbox on a Docker Engine may have, and the request that creates its container: plain values in and out.

The defaults are for an untrusted stranger. What is not in `DockerLimits` cannot be loosened: no capability, no new
privilege, nothing writable but memory file systems of bounded size, no swap, no restart, no health check of the image.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker.seccomp import PROFILE

MIB = 1 << 20

NODE_LABEL = "tmpnb.node"
"""For people who look at the engine. A node may be renamed, and two may bear one name."""
RUN_LABEL = "tmpnb.run_dir"
"""Whose a container is. Two nodes may share an engine, but not a run directory: one of them holds its lock."""
POOL_LABEL = "tmpnb.pool"
SANDBOX_LABEL = "tmpnb.sandbox"
IMAGE_LABEL = "tmpnb.image"
"""Labels hold no key: everyone who may use the engine sees them."""
PROBE_LABEL = "tmpnb.probe"
"""Of containers that only try something out: whose, likewise."""

NO_NETWORK = "none"
SHARED_NETWORKS = ("host", "bridge", "default", "container")
"""On these a sandbox would reach the host itself, or every other container that was started without a thought."""

TMP = "/tmp"  # noqa: S108 - a path in the container, a file system of its own
OPEN_FILES = 4096
HOME_OF_IMAGE = "/opt/tmpnb-home"
"""Where a sandbox sees what its image holds in the home."""
FILL_HOME = (
    "/bin/sh",
    "-c",
    f'cp -a {HOME_OF_IMAGE}/. "$HOME" || echo "tmpnb: not all of the home could be copied"; exec "$@"',
    "fill-home",
)
"""Goes before the image's own ENTRYPOINT, or before the command."""
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


FillHome = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of the host that every sandbox sees."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerLimits:
    """Sizes are bytes. `problems` says whether they can be used together."""

    memory_bytes: int = 512 * MIB
    """Hard, and without swap. Files in the home count too: they lie in memory."""
    home_bytes: int = 128 * MIB
    tmp_bytes: int = 64 * MIB
    shm_bytes: int = 64 * MIB
    """Of /dev/shm, which numeric libraries use between processes."""
    cpu_shares: int = 256
    """Weight under contention. A service without a limit has 1024, so that the host's own come first."""
    cpus: float = 0.0
    """Processors that one sandbox can use at most; 0: no such limit, only its share."""
    pids: int = 256
    log_bytes: int = MIB
    user: str = ""
    """`uid` or `uid:gid`, in numbers; empty: the image's own, or 1000 if that is root."""
    network: str = NO_NETWORK
    """A network of the engine that was made for sandboxes, or none."""
    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Names with their values."""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """Host names with their addresses."""
    oci_runtime: str = ""
    """One that the engine knows by this name, such as runsc, whose --host-uds has to be all; empty: the default."""
    entrypoint: bool = True
    """Whether the image's ENTRYPOINT runs, with the command as its arguments."""
    fill_home: FillHome = "auto"
    """Whether the home starts with what the image holds there: if somebody would miss it and it fits, always, never."""
    seccomp: str = field(default=PROFILE, repr=False)
    """The profile of system calls, as JSON; empty: the engine's own."""


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


def problems(limits: DockerLimits) -> list[str]:
    """Everything that is wrong with these limits, a sentence each."""
    found = []
    in_memory = limits.home_bytes + limits.tmp_bytes + limits.shm_bytes
    if in_memory * 2 > limits.memory_bytes:
        found.append(
            f"home, /tmp and /dev/shm may hold {in_memory // MIB} MiB together, more than half of the memory limit of "
            f"{limits.memory_bytes // MIB} MiB: they lie in memory, and kernels need the rest"
        )
    if min(limits.home_bytes, limits.tmp_bytes, limits.shm_bytes, limits.log_bytes, limits.pids, limits.cpu_shares) < 1:
        found.append("sizes, pids and CPU shares must be at least 1: nothing here is unlimited")
    if limits.cpus < 0:
        found.append(f"{limits.cpus} processors cannot be had; 0 means no limit beside the share")
    if limits.user and not re.fullmatch(r"[1-9][0-9]{0,8}(:[0-9]{1,9})?", limits.user):
        found.append(f"user is {limits.user!r:.40}, neither uid nor uid:gid in numbers; root may not be it")
    if limits.network.partition(":")[0] in SHARED_NETWORKS:
        found.append(f"network {limits.network} is not only for sandboxes; make one that is, or use none")
    for mount in limits.mounts:
        if not mount.source.startswith("/") or not mount.target.startswith("/") or mount.target == "/":
            found.append(f"mount {mount.source!r:.80} on {mount.target!r:.80}: both must be absolute paths, and not /")
        if mount.source.endswith("docker.sock"):
            found.append("the engine's socket in a sandbox would make every visitor the host's root")
    return found


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
        **_command(limits, prepared, argv),
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
        },
        # Some images bring one that starts a Python every few seconds, for each of hundreds of sandboxes.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(launch, limits, prepared),
    }


def _command(limits: DockerLimits, prepared: Prepared, argv: Sequence[str]) -> dict[str, list[str]]:
    if prepared.home_volume:
        entrypoint = prepared.entrypoint if limits.entrypoint else ()
        return {"Entrypoint": [*FILL_HOME, *entrypoint], "Cmd": list(argv)}
    return {"Cmd": list(argv)} if limits.entrypoint else {"Entrypoint": [], "Cmd": list(argv)}


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
