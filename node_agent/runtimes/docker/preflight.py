"""Proof that sandboxes can work with an engine, or the reason in words why they cannot."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from node_agent.directories import RunDirectory
from node_agent.errors import EngineError
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import PROBE_LABEL
from node_agent.runtimes.docker.limits import NO_NETWORK, DockerLimits

BETWEEN_CONTAINERS = "com.docker.network.bridge.enable_icc"
BRIDGE = "com.docker.network.bridge.name=tmpnb-sandboxes"
"""The interface that the shipped firewall knows sandboxes by."""
PROBE_SECONDS = 30
LEFT_SECONDS = 600.0

NOT_SHARED = (
    "what a container writes into the run directory is not seen here: the engine runs on another machine or inside a "
    "virtual one, and sandboxes' sockets cannot be shared with it"
)
UNSEEN = (
    "a container does not see the {directory} that the agent sees: mount it into the agent's container at the "
    "path that it has on the host (TMPNB_NODE_CONTENT_DIR); where SELinux is on, it needs the type container_file_t"
)
NOT_WRITABLE = (
    "a container cannot write into the run directory (exit code {code}); where SELinux is on, the directory needs the "
    "type container_file_t"
)

UNKEPT = (
    "the engine does not keep what it is asked: {what}. Strangers' code would run without that limit. Mend the host, "
    "often by its kernel's command line (cgroup_enable=memory swapaccount=1), or accept it with "
    "TMPNB_NODE_UNKEPT_LIMITS=accept"
)
CAPABILITIES = {
    "MemoryLimit": "no limit on memory",
    "SwapLimit": "no limit on swap",
    "PidsLimit": "no limit on processes",
    "CPUShares": "no share of the processors",
}
"""What an engine's `info` has to say yes to, and what a no means."""
PLATFORM = "platform"
"""In the warning about an image made for another processor: that is no limit."""


def check_capabilities(info: Mapping[str, Any], limits: Iterable[DockerLimits]) -> None:
    """The kernel beneath an engine has to be able to keep the limits; what `info` does not mention counts as yes.

    Raises:
        EngineError: it is not.
    """
    names = {**CAPABILITIES, **({"CpuCfsQuota": "no limit on processors"} if any(each.cpus for each in limits) else {})}
    if lacking := [words for name, words in names.items() if info.get(name) is False]:
        raise EngineError(UNKEPT.format(what=", ".join(lacking)))


def check_warnings(warnings: Iterable[str]) -> None:
    """What an engine warns of when it creates a sandbox may not be a limit that it discards.

    Raises:
        EngineError: it is, in the engine's words.
    """
    if unkept := [warning.strip().rstrip(".") for warning in warnings if PLATFORM not in warning]:
        raise EngineError(UNKEPT.format(what="; ".join(unkept)))


def check_network(engine: DockerEngine, name: str) -> None:
    """Sandboxes on one network must not reach each other.

    Raises:
        EngineError: they could, or the engine does not know the network.
    """
    if name == NO_NETWORK:
        return
    network = engine.network(name)
    if network is None or (network.get("Options") or {}).get(BETWEEN_CONTAINERS) != "false":
        why = "is not there" if network is None else "lets sandboxes reach each other"
        make = f"docker network create -o {BETWEEN_CONTAINERS}=false -o {BRIDGE} {name}"
        raise EngineError(f"network {name} {why}; make it with: {make}")


def sweep(engine: DockerEngine, *, owner: str, now: float) -> None:
    """Remove the containers with which a former agent was trying something out when it was killed."""
    for left in engine.containers([f"{PROBE_LABEL}={owner}"]):
        # Younger ones may be in use.
        if now - left["Created"] > LEFT_SECONDS:
            engine.remove(left["Id"])


def check_directory(engine: DockerEngine, run_dir: Path, *, image: str, owner: str) -> None:
    """What a container of this image writes into the run directory has to be seen here.

    Raises:
        EngineError: it is not, or no such container can run.
    """
    probe = RunDirectory(run_dir).probe(uuid.uuid4().hex[:8])
    try:
        probe.mkdir()
        probe.chmod(0o777)
    except OSError as error:
        raise EngineError(f"the run directory cannot be used: {error.strerror}") from error
    try:
        code = _write(engine, probe, image, owner)
        seen = (probe / "seen").exists()
    except EngineError as error:
        # The engine looks for the directory on its own machine.
        raise EngineError(NOT_SHARED) if "source path does not exist" in str(error) else error from None
    finally:
        (probe / "seen").unlink(missing_ok=True)
        probe.rmdir()
    if code:
        raise EngineError(NOT_WRITABLE.format(code=code))
    if not seen:
        raise EngineError(NOT_SHARED)


def hidden(engine: DockerEngine, directory: Path, *, image: str, owner: str) -> str:
    """Why containers of an image do not see a directory of this host at its path; empty: they do.

    Raises:
        EngineError: the engine does not say.
    """
    mark = uuid.uuid4().hex
    path = directory / f".seen-{mark}"
    body = {
        **_probe(image, owner, directory, read_only=True),
        "Entrypoint": ["/bin/sh", "-c", f"test -e /probe/{path.name}"],
    }
    try:
        path.touch()
        return "" if _run(engine, body) == 0 else UNSEEN.format(directory=directory)
    except OSError as error:
        return f"{directory} cannot be written: {error.strerror}"
    except EngineError as error:
        if "source path does not exist" in str(error):
            return UNSEEN.format(directory=directory)
        raise
    finally:
        path.unlink(missing_ok=True)


def _write(engine: DockerEngine, probe: Path, image: str, owner: str) -> int:
    probing = _probe(image, owner, probe, read_only=False)
    return _run(engine, {**probing, "Entrypoint": ["/bin/sh", "-c", "echo > /probe/seen"]})


def _probe(image: str, owner: str, directory: Path, *, read_only: bool) -> dict[str, Any]:
    """A container that sees a directory of this host as /probe."""
    return {
        "Image": image,
        "User": "0",
        "Labels": {PROBE_LABEL: owner},
        "HostConfig": {
            "NetworkMode": NO_NETWORK,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Mounts": [{"Type": "bind", "Source": str(directory), "Target": "/probe", "ReadOnly": read_only}],
        },
    }


def _run(engine: DockerEngine, body: Mapping[str, Any]) -> int:
    container = engine.create(body).id
    try:
        engine.start(container)
        return engine.exit_code(container, PROBE_SECONDS)
    finally:
        engine.remove(container)
