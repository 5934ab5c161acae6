"""The agent's settings: one table, read from the environment here and nowhere else, every problem reported at once."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from node_agent.directories import RunDirectory, StateDirectory
from node_agent.errors import NodeConfigError
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.limits import problems as limit_problems
from node_agent.settings import docker as docker_settings
from node_agent.settings import pools as pool_settings
from node_agent.settings.pools import PoolSettings
from node_agent.settings.values import (
    IMAGE_NAME,
    PREFIX,
    Address,
    address,
    any_path,
    directory,
    http_url,
    names,
    optional_http_url,
    origins,
    prefixes,
    run_directory,
    template,
)
from tmpnb_common import settings
from tmpnb_common.log_lines import Style
from tmpnb_common.settings import count, matching, misspelt, one_of, optional, rows_of, setting, sites, size, switch


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What the node runs with."""

    name: str = setting(
        matching(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", "up to 63 letters, digits and ._-"),
        lambda _: socket.gethostname(),
        "",
        "What operators call this node.",
        shown="the host's name",
    )
    listen: Address = setting(address, "127.0.0.1:8101", "host:port", "Where this node's nginx listens.")
    tls_cert: Path | None = setting(
        optional(directory),
        "",
        "path",
        "Certificate chain in PEM. With it nginx speaks TLS at LISTEN, and reads it again whenever it changes.",
    )
    tls_key: Path | None = setting(optional(directory), "", "path", "The certificate's private key in PEM.")
    http_listen: Address | None = setting(
        optional(address),
        "",
        "host:port",
        "Plain HTTP beside TLS: answers certificate authorities from ACME_DIR, sends everybody else to TLS.",
    )
    acme_dir: Path = setting(
        directory,
        "/var/lib/tmpnb-acme",
        "path",
        "Where `certbot certonly --webroot -w` leaves what proves that this host's name is its own.",
    )
    url: str = setting(
        http_url,
        lambda above: f"{'https' if above['tls_cert'] else 'http'}://{above['listen']}",
        "URL",
        "The node's public address, as visitors' browsers see it.",
        shown="http(s)://LISTEN",
    )
    control_url: str = setting(
        optional_http_url,
        "",
        "URL",
        "Where the fleet is to speak to this node, if not where visitors come: an address of a private network.",
        shown="URL",
    )
    join: str = setting(
        optional_http_url,
        "",
        "URL",
        "The entry URL of a fleet that this node joins when it starts; `tmpnb-agent serve --join` sets it too.",
    )
    join_token: str = setting(
        matching(r"|[!-~]{16,512}", "a token of 16 to 512 printable characters", shown=False),
        "",
        "token",
        "The fleet's join token (TMPNB_JOIN_TOKEN of the redirector), which lets nodes in.",
        secret=True,
    )
    join_token_file: Path | None = setting(optional(directory), "", "path", "The same from a file.")
    leave: bool = setting(
        switch,
        "0",
        "0 or 1",
        "1: on TERM the node leaves the fleet that it joined: it drains, waits for its sessions to end, and goes. "
        "A second TERM ends it at once.",
    )
    entry_url: str = setting(
        http_url,
        lambda above: above["join"] or above["url"],
        "URL",
        "Where a visitor whose sandbox has ended is offered a fresh one: the redirector's entry URL.",
        shown="JOIN, else the node's own",
    )
    run_dir: Path = setting(
        run_directory,
        "/run/tmpnb",
        "path",
        "Sockets and their directories. On a tmpfs, short, and at the same path for the agent, the proxy and the host.",
    )
    state_dir: Path = setting(
        any_path, "/var/lib/tmpnb-agent", "path", "What must survive a reboot: token, identity, intent."
    )
    token_file: Path = setting(
        any_path,
        lambda above: str(StateDirectory(above["state_dir"]).token),
        "path",
        "The node's token, for the fleet's control calls. Made at the first start where there is none.",
        shown="STATE_DIR/token",
    )
    content_dir: Path = setting(
        any_path,
        lambda above: str(above["state_dir"] / "content"),
        "path",
        "Where contents are unpacked to, for sandboxes to read: on a disk, at the same path for the agent and the "
        "host, and for nothing else.",
        shown="STATE_DIR/content",
    )
    content_bytes: int = setting(
        size(0),
        "10g",
        "size",
        "How much contents may take there; the least recently needed goes first. 0: none at all.",
    )
    content_blob_bytes: int = setting(size(1), "4g", "size", "The largest single content that the fleet may send.")
    content_copy: int = setting(
        size(0),
        "8m",
        "size",
        "Files of a content up to here are copied into each home; larger ones are links to the one copy of the node.",
    )
    runtime: str = setting(
        one_of("docker", "process"),
        "docker",
        "",
        "docker: containers. process: local processes, which isolate nothing, for trying the system.",
    )
    image: str = setting(
        matching(f"{IMAGE_NAME.pattern}|", "an image's name"),
        "",
        "image",
        "What each sandbox runs. Needed with runtime docker; a mere label with runtime process.",
    )
    command: str = setting(
        template,
        JUPYTER_LAB,
        "template",
        "Starts the image's Jupyter server. {server}, {base_path}, {socket}, {home} and {landing} are filled in.",
        shown="JupyterLab",
    )
    landing: str = setting(
        matching(r"/[A-Za-z0-9._~/%?=&+-]{0,200}", "a path such as /lab"),
        "/lab/tree/Welcome.ipynb",
        "path",
        "The page in a sandbox that visitors get when they ask for none; of a file that its home lacks, without it.",
    )
    landing_prefixes: tuple[str, ...] = setting(
        prefixes,
        "",
        "path parts",
        "First parts of further addresses at which visitors may come in, at the fleet's entry too. Spaces between.",
    )
    capacity: int = setting(
        count(1, 10_000), "10", "sandboxes", "How many exist at once at most, whatever their state."
    )
    warm: int = setting(
        count(1, 10_000),
        lambda above: str(above["capacity"]),
        "sandboxes",
        "How many are kept ready for visitors to come.",
        shown="CAPACITY",
    )
    fleet_only: bool = setting(
        switch,
        lambda above: "1" if above["join"] else "0",
        "0 or 1",
        "1: sandboxes go only to whoever has the node's token, that is, to the fleet. 0: to everyone who comes.",
        shown="1 with JOIN, else 0",
    )
    cull_idle_seconds: int = setting(
        count(10, 10_000_000),
        "3600",
        "seconds",
        "A session in which nobody and nothing is at work ends after this. An open tab at rest is nobody.",
    )
    max_age_seconds: int = setting(
        count(10, 10_000_000), "14400", "seconds", "Every session ends after this, so that a drained node empties."
    )
    unvisited_seconds: int = setting(
        count(5, 10_000_000),
        "60",
        "seconds",
        "A sandbox that was handed out and then not asked for anything at all ends after this: its visitor went away.",
    )
    cull_closed_seconds: int = setting(
        count(0, 10_000_000),
        "600",
        "seconds",
        "Live code in a page ends after so long without a page of it and without a busy kernel. 0: never.",
    )
    start_seconds: int = setting(
        count(1, 3600), "60", "seconds", "A sandbox that is not ready this long after its start is ended."
    )
    trial_cell: str = setting(
        matching(r"[^\x00]{0,2000}", "at most 2000 characters"),
        "",
        "code",
        "A trial sandbox has to run this without an error; without one it is enough that a kernel answers.",
        shown="any kernel that answers",
    )
    trial_seconds: int = setting(
        count(0, 10_000_000),
        "21600",
        "seconds",
        "How often the node tries a sandbox of each pool as a visitor would, beside once for a new image. A pool that "
        "fails gets visitors only where nothing else is free. 0: never, as for images without kernels.",
    )
    parallel_starts: int = setting(
        count(1, 64),
        lambda _: str(min(os.cpu_count() or 1, 64)),
        "sandboxes",
        "How many start at once. Starting is work for the processor, and more at once make each one slower.",
        shown="the number of processors",
    )
    allow_origin: tuple[str, ...] = setting(
        origins,
        "",
        "origins, or *",
        "Sites whose pages may use this node's API and its sandboxes' from a browser (CORS).",
    )
    frame_ancestors: tuple[str, ...] = setting(
        sites, "", "origins, or *", "Sites that may show this node's notebooks in a frame."
    )
    origin: str = setting(
        one_of("node", "sandbox"),
        "node",
        "",
        "node: all sandboxes share the node's origin. sandbox: each has its own, NAME.HOST, which needs a wildcard in "
        "the DNS and in the certificate.",
    )
    warn_seconds: int = setting(
        count(0, 36_000),
        "600",
        "seconds",
        "How long before its end a session's pages warn the person in them; at most a quarter of the limit. 0: never.",
    )
    templates_dir: Path | None = setting(
        optional(directory), "", "path", "Templates in here are used instead of the node's own pages of the same name."
    )
    proxy_user: str = setting(
        matching(r"[a-z_][a-z0-9_-]{0,31}", "a user's name"),
        "www-data",
        "user",
        "Whom nginx's workers run as when the proxy is started as root; otherwise they run as whoever started it.",
    )
    access_log: str = setting(
        matching(r"off|/[A-Za-z0-9._/-]+|syslog:server=[A-Za-z0-9._:/,=-]+", "off, a path or syslog:server=…"),
        "/dev/stdout",
        "path",
        "Where nginx writes a line per request: when, method, what was asked in a word, status, size, seconds and the "
        "sandbox's name, never its address.",
    )
    log_format: Style = setting(
        one_of("text", "json"),
        "text",
        "",
        "The agent's own lines. text: key=value, for eyes and grep; json: an object a line, for a log store.",
    )
    reserve: int = setting(
        size(1),
        "128m",
        "size",
        "What each sandbox is counted with at least when the host's memory is shared out, or with what it uses.",
    )
    keep_free: int = setting(
        size(0), "512m", "size", "Memory of the host that sandboxes leave alone: none starts where it would be needed."
    )
    pools: tuple[PoolSettings, ...] = setting(
        names,
        "",
        "names",
        "Further pools beside `default`, each with an image of its own: TMPNB_NODE_POOL_NAME_IMAGE, likewise …_WARM, "
        "…_CAPACITY, …_LANDING, …_COMMAND, …_TRIAL_CELL, …_CULL_IDLE_SECONDS, …_MAX_AGE_SECONDS, …_UNVISITED_SECONDS, "
        "…_CULL_CLOSED_SECONDS "
        "and each of the limits below. What is not set is as for `default`.",
    )
    """All of them, the default pool first."""
    engine: Path
    unkept_limits: str
    pull: bool
    limits: DockerLimits
    """Of the default pool."""

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.run_dir)

    @property
    def state(self) -> StateDirectory:
        return StateDirectory(self.state_dir)

    @property
    def speaks_tls(self) -> bool:
        return self.tls_cert is not None

    @property
    def slots(self) -> int:
        """How many sandboxes all pools may hold together."""
        return sum(pool.capacity for pool in self.pools)


TABLE = (*rows_of(NodeSettings, PREFIX), *docker_settings.TABLE)


def load(environment: Mapping[str, str]) -> NodeSettings:
    """Read the settings.

    Raises:
        NodeConfigError: with everything that is wrong, not only the first.
    """
    values, problems = settings.load(TABLE, environment)
    pools, of_pools = pool_settings.read(environment, values, TABLE) if "pools" in values else ((), [])
    known = [row.variable for row in TABLE]
    known += [
        pool_settings.variable(pool, row) for pool in values.get("pools", ()) for row in pool_settings.rows(TABLE)
    ]
    problems += of_pools + misspelt(environment, PREFIX, known) + contradictions(values)
    if not problems:
        problems += [f"pool {pool.name}: {problem}" for pool in pools for problem in pool_problems(pool, values)]
    if problems:
        raise NodeConfigError(problems)
    fields = {name: value for name, value in values.items() if name not in docker_settings.FIELDS}
    return NodeSettings(**fields | {"limits": pools[0].limits, "pools": pools})


def pool_problems(pool: PoolSettings, values: Mapping[str, Any]) -> list[str]:
    """What does not fit together within one pool."""
    problems = []
    if pool.warm > pool.capacity:
        problems.append(f"WARM is {pool.warm}, more than its CAPACITY, {pool.capacity}")
    if pool.life.unvisited >= pool.life.max_age:
        problems.append("UNVISITED_SECONDS must be shorter than MAX_AGE_SECONDS")
    if values["runtime"] == "docker":
        problems += limit_problems(pool.limits)
        if not pool.image:
            problems.append("its IMAGE is needed")
    return problems


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """Settings that are fine one by one and not together. `values` may lack those that are not fine."""
    problems = []
    if values.get("warm", 0) > values.get("capacity", 10_000):
        problems.append(f"{PREFIX}WARM is {values['warm']}, more than {PREFIX}CAPACITY, {values['capacity']}")
    if values.get("unvisited_seconds", 0) >= values.get("max_age_seconds", 10**9):
        problems.append(f"{PREFIX}UNVISITED_SECONDS must be shorter than {PREFIX}MAX_AGE_SECONDS")
    if bool(values.get("tls_cert")) != bool(values.get("tls_key")):
        problems.append(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY go together: set both or neither")
    if values.get("tls_cert") and values.get("url", "https:").startswith("http:"):
        problems.append(f"{PREFIX}URL has to begin with https:// where {PREFIX}TLS_CERT is set")
    if values.get("http_listen") and not values.get("tls_cert", True):
        problems.append(f"{PREFIX}HTTP_LISTEN is for a node that speaks TLS: set {PREFIX}TLS_CERT too, or only LISTEN")
    if values.get("join") and bool(values.get("join_token")) == bool(values.get("join_token_file")):
        problems.append(
            f"{PREFIX}JOIN needs the fleet's join token: set {PREFIX}JOIN_TOKEN_FILE, or {PREFIX}JOIN_TOKEN"
        )
    if values.get("origin") == "sandbox" and re.fullmatch(
        r"[0-9.]+|.*:.*", urlsplit(values.get("url", "")).hostname or ""
    ):
        problems.append(f"{PREFIX}URL has to have a host name, not an address, with {PREFIX}ORIGIN=sandbox")
    if values.get("runtime") == "docker" and values.get("image") == "":
        problems.append(f"{PREFIX}IMAGE is needed with {PREFIX}RUNTIME=docker: the image that each sandbox runs")
    return problems


def environment() -> Mapping[str, str]:
    """This process's variables: for the process runtime, which passes on the harmless part of them, and for nginx."""
    return dict(os.environ)


def from_environment() -> NodeSettings:
    return load(os.environ)
