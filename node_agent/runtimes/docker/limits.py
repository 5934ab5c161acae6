"""What a sandbox on a Docker Engine may have: the values that an operator may set, and what is wrong with them.

The defaults are for an untrusted stranger. What is not in `DockerLimits` cannot be loosened: see `container`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from node_agent.runtimes.docker.seccomp import PROFILE

MIB = 1 << 20

NO_NETWORK = "none"
SHARED_NETWORKS = ("host", "bridge", "default", "container")
"""On these a sandbox would reach the host itself, or every other container that was started without a thought."""

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
