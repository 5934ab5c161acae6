"""What `tmpnb up` is going to run: decided here as plain values, from what was asked and where."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redirector.local_fleet import front
from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.errors import NotStartedError
from tmpnb_common.host import SBIN

HOST = "127.0.0.1"
NOTEBOOK_IMAGE = "tmpnb-notebook"
"""As the documentation calls the image of deploy/notebook."""
REDIRECTOR_OFFSET = 1
"""The redirector itself listens at the entry's port plus this, behind nginx."""
FIRST_NODE_OFFSET = 101
"""Nodes listen from the entry's port plus this on."""
MOST_NODES = 50
MOST_SANDBOXES = 1000
"""On one node. Far beyond what one machine carries as plain processes, and small enough to be no slip of a finger."""
LAST_PORT = 2**16 - 1
RUN_ROOT_LENGTH = 46
"""A socket's path ends at 107 bytes, and `/n50/ready/<34 letters>/jupyter.sock` is 58 of them; three to spare."""

MARK = "TMPNB_UP_STATE"
"""Each process of a fleet carries its state directory in this variable: it is found even if nobody wrote it down."""

OWN_SETTINGS = ("TMPNB_URL", "TMPNB_TOKEN", "TMPNB_TOKEN_FILE", "TMPNB_ADMIN_TOKEN", "TMPNB_DATABASE_URL", MARK)
"""Variables for operators' commands or for another fleet, which the fleet's own processes are not to see."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the person who runs `tmpnb up` chose."""

    nodes: int
    warm: int
    """Sandboxes that each node keeps ready."""
    capacity: int
    """Sandboxes that each node has at most."""
    port: int
    """The entry's."""
    runtime: str
    image: str = NOTEBOOK_IMAGE
    """What sandboxes of runtime `docker` run."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """One process to keep running."""

    name: str
    """As messages call it, such as `n1 agent`."""
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    log: Path


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its two processes, and what ends whatever they leave behind."""

    name: str
    port: int
    agent: ChildPlan
    proxy: ChildPlan
    purge: ChildPlan

    @property
    def url(self) -> str:
        return url_of(self.port)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The redirector with nginx before it, the nodes, and where their sockets lie."""

    options: UpOptions
    run_root: Path
    front: ChildPlan
    front_config: str
    """What nginx before the redirector is told, for `front.write`."""
    redirector: ChildPlan
    nodes: tuple[NodePlan, ...]

    @property
    def url(self) -> str:
        """The entry: what everybody uses, `tmpnb up` itself too."""
        return url_of(self.options.port)

    @property
    def ports(self) -> list[int]:
        return [self.options.port, redirector_port(self.options), *(node.port for node in self.nodes)]

    @property
    def children(self) -> list[ChildPlan]:
        return [self.front, self.redirector, *(child for node in self.nodes for child in (node.agent, node.proxy))]


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a fleet runs: its state, its sockets, its programs and the environment that they inherit."""

    directory: FleetDirectory
    run_root: Path
    programs: Path
    environ: Mapping[str, str]


def checked(options: UpOptions) -> UpOptions:
    """Return the options, if they make sense.

    Raises:
        NotStartedError: they do not; says which and why.
    """
    last_port = options.port + FIRST_NODE_OFFSET + options.nodes - 1
    for sound, complaint in (
        (1 <= options.nodes <= MOST_NODES, f"--nodes has to be from 1 to {MOST_NODES}"),
        (1 <= options.capacity <= MOST_SANDBOXES, f"--capacity has to be from 1 to {MOST_SANDBOXES}"),
        (1 <= options.warm <= MOST_SANDBOXES, f"--warm has to be from 1 to {MOST_SANDBOXES}"),
        (options.warm <= options.capacity, f"--warm {options.warm} is more than --capacity {options.capacity}"),
        (options.port >= 1, "--port has to be 1 or more"),
        (last_port <= LAST_PORT, f"--port {options.port} leaves no room: the last node would need port {last_port}"),
    ):
        if not sound:
            raise NotStartedError(complaint)
    return options


def make_plan(options: UpOptions, installation: Installation) -> FleetPlan:
    nodes = tuple(node_plan(number, options, installation) for number in range(1, options.nodes + 1))
    root, listen = installation.run_root, f"{HOST}:{redirector_port(options)}"
    settings = {
        "TMPNB_LISTEN": listen,
        "TMPNB_STREAMS_LISTEN": f"unix:{front.streams_socket(root)}",
        "TMPNB_TRUSTED_PROXIES": "1",
        "TMPNB_STATE": str(installation.directory.root),
        "TMPNB_ADMIN_TOKEN_FILE": str(installation.directory.admin_token),
        "TMPNB_WORKERS": installation.environ.get("TMPNB_WORKERS", "2"),
        # Somebody watches the pools warm.
        "TMPNB_POLL_SECONDS": installation.environ.get("TMPNB_POLL_SECONDS", "1"),
    }
    return FleetPlan(
        options,
        root,
        front=_child("front", front.command(root), {}, installation),
        front_config=front.render(root, listen=f"{HOST}:{options.port}", redirector=listen),
        redirector=_child("redirector", _ours(installation, "tmpnb", "serve"), settings, installation),
        nodes=nodes,
    )


def node_plan(number: int, options: UpOptions, installation: Installation) -> NodePlan:
    """Plan node `number`; the plan also serves to end what a node left that is no longer part of the fleet."""
    name, port = f"n{number}", options.port + FIRST_NODE_OFFSET + number - 1
    settings = {
        "TMPNB_NODE_NAME": name,
        "TMPNB_NODE_LISTEN": f"{HOST}:{port}",
        "TMPNB_NODE_URL": url_of(port),
        "TMPNB_NODE_ENTRY_URL": url_of(options.port),
        "TMPNB_NODE_RUN_DIR": str(installation.run_root / name),
        "TMPNB_NODE_STATE_DIR": str(installation.directory.node(name)),
        "TMPNB_NODE_RUNTIME": options.runtime,
        **({"TMPNB_NODE_IMAGE": options.image} if options.runtime == "docker" else {}),
        "TMPNB_NODE_WARM": str(options.warm),
        "TMPNB_NODE_CAPACITY": str(options.capacity),
        "TMPNB_NODE_FLEET_ONLY": "1",
    }
    agent, proxy, purge = (
        _child(f"{name} {role}", _ours(installation, "tmpnb-agent", word), settings, installation)
        for role, word in (("agent", "serve"), ("proxy", "proxy"), ("purge", "purge"))
    )
    return NodePlan(name, port, agent, proxy, purge)


def run_root(state: Path, uid: int, runtime_dir: str | None) -> Path:
    """A short directory for sockets, the same for the same state directory and no other.

    `runtime_dir` is the user's own, if there is one that can be written.
    """
    tag = hashlib.sha256(os.fsencode(state)).hexdigest()[:8]
    if uid == 0:
        return Path(f"/run/tmpnb-{tag}")
    own = Path(runtime_dir or "/", f"tmpnb-{tag}")
    if runtime_dir and len(os.fsencode(own)) <= RUN_ROOT_LENGTH:
        return own
    return Path(f"/tmp/tmpnb-{uid}-{tag}")  # noqa: S108 - made with a fixed mode and its owner checked


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that processes of the fleet begin with; settings of nodes pass, so that they can be tried."""
    kept = {name: value for name, value in environ.items() if name not in OWN_SETTINGS}
    kept["PATH"] = ":".join(filter(None, (environ.get("PATH"), SBIN)))
    # Their output is a file, and a person is told to look there.
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def url_of(port: int) -> str:
    return f"http://{HOST}:{port}"


def redirector_port(options: UpOptions) -> int:
    return options.port + REDIRECTOR_OFFSET


def _ours(installation: Installation, program: str, *arguments: str) -> tuple[str, ...]:
    return (str(installation.programs / program), *arguments)


def _child(name: str, argv: tuple[str, ...], settings: Mapping[str, str], installation: Installation) -> ChildPlan:
    environ = {**inherited(installation.environ), **settings, MARK: str(installation.directory.root)}
    log = installation.directory.logs / f"{name.replace(' ', '-')}.log"
    return ChildPlan(name, argv, environ, log)
