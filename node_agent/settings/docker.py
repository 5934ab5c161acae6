"""The rows of the settings table that say what a sandbox of runtime `docker` may have."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_agent.runtimes.docker.limits import DockerLimits, Mount
from node_agent.runtimes.docker.seccomp import PROFILE
from node_agent.settings.values import PREFIX, any_path, assignments, host_addresses, processors
from tmpnb_common.settings import count, matching, one_of, rows_of, setting, size, switch


def mount_list(text: str) -> tuple[Mount, ...]:
    """`source:target` or `source:target:rw` words, separated by spaces or commas."""
    parsed = []
    for word in text.replace(",", " ").split():
        parts = re.fullmatch(r"(/[^:]*):(/[^:]*)(?::(ro|rw))?", word)
        if parts is None:
            raise ValueError(f"holds {word!r:.80}, not /SOURCE:/TARGET or /SOURCE:/TARGET:rw")
        parsed.append(Mount(parts[1], parts[2], read_only=parts[3] != "rw"))
    return tuple(parsed)


ENGINES_OWN = "engine"


def seccomp_profile(text: str) -> str:
    """The text of a profile: the shipped one, the engine's own (empty), or what the file at a path holds."""
    if text in ("", ENGINES_OWN):
        return PROFILE if not text else ""
    path = any_path(text)
    try:
        profile = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"is {text!r:.80}, which cannot be read as JSON: {error}") from error
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise ValueError(f"is {text!r:.80}, which holds no seccomp profile: there is no defaultAction in it")
    return json.dumps(profile)


SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTable:
    """The rows, in the order in which people read them."""

    memory: int = setting(size(1), "512m", "size", "Hard limit of one sandbox, without swap, files in it included.")
    home: int = setting(size(1), "128m", "size", "How much its home holds. It lies in memory: the disk quota.")
    tmp: int = setting(size(1), "64m", "size", "How much its /tmp holds, likewise.")
    shm: int = setting(size(1), "64m", "size", "How much its /dev/shm holds, likewise.")
    cpu_shares: int = setting(
        count(2, 262_144), "256", "weight", "Its weight when processors are short. Services without a limit have 1024."
    )
    cpus: float = setting(processors, "0", "processors", "The most that it may use. 0: no limit beside its weight.")
    pids: int = setting(count(8, 100_000), "256", "processes", "Processes and threads that it may have at once.")
    log_size: int = setting(size(1024), "1m", "size", "How much of what it prints the engine keeps.")
    user: str = setting(
        matching(r"|[0-9]{1,9}(:[0-9]{1,9})?", "uid or uid:gid in numbers"),
        "",
        "uid:gid",
        "Whom it runs as; an image that would run as root runs as 1000.",
        shown="the image's own",
    )
    network: str = setting(
        matching(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", "a network's name"),
        "none",
        "",
        "A network of the engine that was made for sandboxes; none: nothing but the visitor's own connection.",
    )
    mounts: tuple[Mount, ...] = setting(
        mount_list,
        "",
        "/source:/target",
        "Directories of the host that every sandbox sees, read-only unless they end in :rw.",
    )
    environment: tuple[tuple[str, str], ...] = setting(
        assignments,
        "",
        "NAME=value",
        "Variables in every sandbox, where visitors can read them. OMP_NUM_THREADS and its like follow CPUS.",
    )
    extra_hosts: tuple[tuple[str, str], ...] = setting(
        host_addresses, "", "host=address", "Host names that every sandbox knows, without a DNS."
    )
    oci_runtime: str = setting(
        matching(r"[A-Za-z0-9._-]{0,63}", "a runtime's name"),
        "",
        "",
        "Another runtime that the engine knows, such as runsc.",
        shown="the engine's own",
    )
    entrypoint: str = setting(
        one_of("image", "none"),
        "image",
        "",
        "image: its ENTRYPOINT runs, with COMMAND as its arguments. none: COMMAND alone, for one that swallows it.",
    )
    fill_home: str = setting(
        one_of("auto", "always", "never"),
        "auto",
        "",
        "Whether its home starts with what the image holds there. auto: if that is more than a new user has, and fits.",
    )
    seccomp: str = setting(
        seccomp_profile,
        "",
        "path",
        "The system calls that it may make: a profile in a file of your own, or `engine` for the engine's own profile.",
        shown="the shipped one",
    )
    engine: Path = setting(
        any_path,
        str(SOCKET),
        "path",
        "The engine's socket. It has to be an engine of this very host.",
        shown=str(SOCKET),
    )
    unkept_limits: str = setting(
        one_of("refuse", "accept"),
        "refuse",
        "",
        "What an engine that says that it does not keep a limit means: no sandboxes, or sandboxes without that limit.",
    )
    pull: bool = setting(
        switch, "1", "0 or 1", "1: an image that is not on the host is fetched. 0: it has to be there."
    )


TABLE = rows_of(DockerTable, PREFIX)

FIELDS = frozenset(row.field for row in TABLE) - {"engine", "pull", "unkept_limits"}
"""Those that become `DockerLimits`, and that each pool may have of its own."""


def limits(values: Mapping[str, Any]) -> DockerLimits:
    return DockerLimits(
        memory_bytes=values["memory"],
        home_bytes=values["home"],
        tmp_bytes=values["tmp"],
        shm_bytes=values["shm"],
        cpu_shares=values["cpu_shares"],
        cpus=values["cpus"],
        pids=values["pids"],
        log_bytes=values["log_size"],
        user=values["user"],
        network=values["network"],
        mounts=values["mounts"],
        environment=values["environment"],
        extra_hosts=values["extra_hosts"],
        oci_runtime=values["oci_runtime"],
        entrypoint=values["entrypoint"] == "image",
        fill_home=values["fill_home"],
        seccomp=values["seccomp"],
    )
