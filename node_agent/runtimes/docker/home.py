"""What an image holds in the home of its user, which a sandbox's own home, a memory file system, would hide.

For the pools that fill their homes it is kept once in a volume of the engine, beside the image and on its disk; each
sandbox sees that read-only, and copies it into its home before its server starts.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node_agent.errors import EngineError
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import PROBE_LABEL
from node_agent.runtimes.docker.limits import MIB, DockerLimits

HOME_LABEL = "tmpnb.home"
"""Of volumes that hold a home: whose, as containers' labels say it."""

SKELETON = frozenset({".bash_logout", ".bash_profile", ".bashrc", ".profile", ".cache", ".npm", ".wget-hsts", ".conda"})
"""What every new user's home holds, or what building an image leaves there: nothing to miss."""


@dataclass(frozen=True, slots=True)
class HomeContents:
    """What lies in a home, in bytes by its topmost name."""

    sizes: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    @property
    def missed(self) -> list[str]:
        """The names that a visitor would miss, largest first."""
        return sorted(self.sizes.keys() - SKELETON, key=lambda name: (-self.sizes[name], name))


def contents(engine: DockerEngine, image: Mapping[str, Any], home: str, *, owner: str) -> HomeContents:
    """Read what an image holds in its home. `image` is what the engine knows of it."""
    container = engine.create(_probe(image, owner)).id
    try:
        with engine.archive(container, home) as stream:
            return HomeContents({} if stream is None else _sizes(stream))
    finally:
        engine.remove(container)


def _sizes(stream: Any) -> Counter[str]:
    sizes: Counter[str] = Counter()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            # Below the home's own name, which comes first.
            _, _, inner = member.name.strip("/").partition("/")
            if top := inner.partition("/")[0]:
                sizes[top] += member.size
    return sizes


def volume(engine: DockerEngine, image: Mapping[str, Any], home: str, limits: DockerLimits, *, owner: str) -> str:
    """Make the volume that holds what an image has in its home, and return its name; empty if homes start empty.

    Raises:
        EngineError: it does not fit though it has to, or the engine does not make it.
    """
    if limits.fill_home == "never":
        return ""
    held, room = contents(engine, image, home, owner=owner), limits.home_bytes
    if limits.fill_home == "always" and held.total > room:
        raise EngineError(too_large(held, home, room))
    if not (held.sizes if limits.fill_home == "always" else held.missed) or held.total > room:
        return ""
    name = "tmpnb-home-" + hashlib.sha256(f"{owner} {image['Id']} {home}".encode()).hexdigest()[:24]
    mount = {
        "Type": "volume",
        "Source": name,
        "Target": home,
        "VolumeOptions": {"Labels": {HOME_LABEL: owner}},
    }
    # An empty volume that is mounted on a directory of the image gets what is in it.
    engine.remove(engine.create({**_probe(image, owner), "HostConfig": {"Mounts": [mount]}}).id)
    return name


def is_there(engine: DockerEngine, name: str, *, owner: str) -> bool:
    """Whether a volume is still there: operators prune what nothing uses, and the engine would mount an empty one."""
    return name in engine.volumes(f"{HOME_LABEL}={owner}")


def sweep(engine: DockerEngine, *, owner: str) -> None:
    """Remove the volumes that no sandbox uses. One that is wanted again is made again."""
    for name in engine.volumes(f"{HOME_LABEL}={owner}"):
        engine.remove_volume(name)


def too_large(held: HomeContents, home: str, room: int) -> str:
    """Why a home is not filled, with what is largest in it."""
    largest = ", ".join(f"{name} ({held.sizes[name] / MIB:.0f} MiB)" for name in held.missed[:3])
    return (
        f"the image's home {home} holds {held.total / MIB:.0f} MiB, and a sandbox's home {room // MIB} MiB: "
        f"move what is large ({largest}) out of it, or raise TMPNB_NODE_HOME"
    )


def _probe(image: Mapping[str, Any], owner: str) -> dict[str, Any]:
    return {"Image": image["Id"], "Entrypoint": ["none"], "Cmd": [], "Labels": {PROBE_LABEL: owner}}
