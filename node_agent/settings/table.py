"""The agent's settings: one table, read from the environment here and nowhere else, every problem reported at once."""

from __future__ import annotations

import difflib
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from node_agent.errors import ConfigError
from node_agent.jupyter import command
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.limits import problems as limit_problems
from node_agent.settings import docker as docker_settings
from node_agent.settings import pools as pool_settings
from node_agent.settings.pools import PoolSettings
from node_agent.settings.values import (
    IMAGE_NAME,
    PREFIX,
    Address,
    Setting,
    address,
    any_path,
    count,
    directory,
    http_url,
    matching,
    names,
    one_of,
    optional_address,
    optional_file,
    optional_http_url,
    origins,
    prefixes,
    run_directory,
    sites,
    size,
    switch,
    template,
)
from tmpnb_common.log_lines import Style


@dataclass(frozen=True, slots=True)
class Settings:
    """What `TABLE` says, parsed."""

    name: str
    listen: Address
    tls_cert: Path | None
    tls_key: Path | None
    http_listen: Address | None
    acme_dir: Path
    url: str
    control_url: str
    join: str
    join_token: str = field(repr=False)
    join_token_file: Path | None
    leave: bool
    entry_url: str
    run_dir: Path
    state_dir: Path
    token_file: Path
    runtime: str
    image: str
    command: str
    landing: str
    landing_prefixes: tuple[str, ...]
    warm: int
    capacity: int
    fleet_only: bool
    cull_idle_seconds: int
    max_age_seconds: int
    unvisited_seconds: int
    start_seconds: int
    trial_cell: str
    trial_seconds: int
    parallel_starts: int
    allow_origin: tuple[str, ...]
    frame_ancestors: tuple[str, ...]
    origin: str
    warn_seconds: int
    templates_dir: Path | None
    proxy_user: str
    access_log: str
    log_format: Style
    reserve: int
    keep_free: int
    engine: Path
    unkept_limits: str
    pull: bool
    limits: DockerLimits
    """Of the default pool."""
    pools: tuple[PoolSettings, ...]
    """All of them, the default pool first."""

    @property
    def speaks_tls(self) -> bool:
        return self.tls_cert is not None

    @property
    def slots(self) -> int:
        """How many sandboxes all pools may hold together."""
        return sum(pool.capacity for pool in self.pools)


TABLE: tuple[Setting, ...] = (
    Setting(
        "name",
        matching(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", "up to 63 letters, digits and ._-"),
        lambda _: socket.gethostname(),
        "the host's name",
        "",
        "What operators call this node.",
    ),
    Setting("listen", address, "127.0.0.1:8101", "127.0.0.1:8101", "host:port", "Where this node's nginx listens."),
    Setting(
        "tls_cert",
        optional_file,
        "",
        "none",
        "path",
        "Certificate chain in PEM. With it nginx speaks TLS at LISTEN, and reads it again whenever it changes.",
    ),
    Setting("tls_key", optional_file, "", "none", "path", "The certificate's private key in PEM."),
    Setting(
        "http_listen",
        optional_address,
        "",
        "none",
        "host:port",
        "Plain HTTP beside TLS: answers certificate authorities from ACME_DIR, sends everybody else to TLS.",
    ),
    Setting(
        "acme_dir",
        directory,
        "/var/lib/tmpnb-acme",
        "/var/lib/tmpnb-acme",
        "path",
        "Where `certbot certonly --webroot -w` leaves what proves that this host's name is its own.",
    ),
    Setting(
        "url",
        http_url,
        lambda above: f"{'https' if above['tls_cert'] else 'http'}://{above['listen']}",
        "http(s)://LISTEN",
        "URL",
        "The node's public address, as visitors' browsers see it.",
    ),
    Setting(
        "control_url",
        optional_http_url,
        "",
        "URL",
        "URL",
        "Where the fleet is to speak to this node, if not where visitors come: an address of a private network.",
    ),
    Setting(
        "join",
        optional_http_url,
        "",
        "none",
        "URL",
        "The entry URL of a fleet that this node joins when it starts; `tmpnb-agent serve --join` sets it too.",
    ),
    Setting(
        "join_token",
        matching(r"|[!-~]{16,512}", "a token of 16 to 512 printable characters", shown=False),
        "",
        "none",
        "token",
        "The fleet's join token (TMPNB_JOIN_TOKEN of the redirector), which lets nodes in.",
    ),
    Setting("join_token_file", optional_file, "", "none", "path", "The same from a file."),
    Setting(
        "leave",
        switch,
        "0",
        "0",
        "0 or 1",
        "1: on TERM the node leaves the fleet that it joined: it drains, waits for its sessions to end, and goes. "
        "A second TERM ends it at once.",
    ),
    Setting(
        "entry_url",
        http_url,
        lambda above: above["join"] or above["url"],
        "JOIN, else the node's own",
        "URL",
        "Where a visitor whose sandbox has ended is offered a fresh one: the redirector's entry URL.",
    ),
    Setting(
        "run_dir",
        run_directory,
        "/run/tmpnb",
        "/run/tmpnb",
        "path",
        "Sockets and their directories. On a tmpfs, short, and at the same path for the agent, the proxy and the host.",
    ),
    Setting(
        "state_dir",
        any_path,
        "/var/lib/tmpnb-agent",
        "/var/lib/tmpnb-agent",
        "path",
        "What must survive a reboot: token, identity, intent.",
    ),
    Setting(
        "token_file",
        any_path,
        lambda above: str(above["state_dir"] / "token"),
        "STATE_DIR/token",
        "path",
        "The node's token, for the fleet's control calls. Made at the first start where there is none.",
    ),
    Setting(
        "runtime",
        one_of("docker", "process"),
        "docker",
        "docker",
        "",
        "docker: containers. process: local processes, which isolate nothing, for trying the system.",
    ),
    Setting(
        "image",
        matching(f"{IMAGE_NAME.pattern}|", "an image's name"),
        "",
        "none",
        "image",
        "What each sandbox runs. Needed with runtime docker; a mere label with runtime process.",
    ),
    Setting(
        "command",
        template,
        command.JUPYTER_LAB,
        "JupyterLab",
        "template",
        "Starts the image's Jupyter server. {server}, {base_path}, {socket}, {home} and {landing} are filled in.",
    ),
    Setting(
        "landing",
        matching(r"/[A-Za-z0-9._~/%?=&+-]{0,200}", "a path such as /lab"),
        "/lab",
        "/lab",
        "path",
        "The page in a sandbox that visitors get when they ask for none. It is asked once before anyone gets it.",
    ),
    Setting(
        "landing_prefixes",
        prefixes,
        "",
        "none",
        "path parts",
        "First parts of further addresses at which visitors may come in, at the fleet's entry too. Spaces between.",
    ),
    Setting(
        "capacity",
        count(1, 10_000),
        "10",
        "10",
        "sandboxes",
        "How many exist at once at most, whatever their state.",
    ),
    Setting(
        "warm",
        count(1, 10_000),
        lambda above: str(above["capacity"]),
        "CAPACITY",
        "sandboxes",
        "How many are kept ready for visitors to come.",
    ),
    Setting(
        "fleet_only",
        switch,
        lambda above: "1" if above["join"] else "0",
        "1 with JOIN, else 0",
        "0 or 1",
        "1: sandboxes go only to whoever has the node's token, that is, to the fleet. 0: to everyone who comes.",
    ),
    Setting(
        "cull_idle_seconds",
        count(10, 10_000_000),
        "3600",
        "3600",
        "seconds",
        "A session in which nobody and nothing is at work ends after this. An open tab at rest is nobody.",
    ),
    Setting(
        "max_age_seconds",
        count(10, 10_000_000),
        "14400",
        "14400",
        "seconds",
        "Every session ends after this, so that a drained node empties.",
    ),
    Setting(
        "unvisited_seconds",
        count(5, 10_000_000),
        "60",
        "60",
        "seconds",
        "A sandbox that was handed out and then not asked for anything at all ends after this: its visitor went away.",
    ),
    Setting(
        "start_seconds",
        count(1, 3600),
        "60",
        "60",
        "seconds",
        "A sandbox that is not ready this long after its start is ended.",
    ),
    Setting(
        "trial_cell",
        matching(r"[^\x00]{0,2000}", "at most 2000 characters"),
        "",
        "any kernel that answers",
        "code",
        "A trial sandbox has to run this without an error; without one it is enough that a kernel answers.",
    ),
    Setting(
        "trial_seconds",
        count(0, 10_000_000),
        "21600",
        "21600",
        "seconds",
        "How often the node tries a sandbox of each pool as a visitor would, beside once for a new image. A pool that "
        "fails gets visitors only where nothing else is free. 0: never, as for images without kernels.",
    ),
    Setting(
        "parallel_starts",
        count(1, 64),
        lambda _: str(min(os.cpu_count() or 1, 64)),
        "the number of processors",
        "sandboxes",
        "How many start at once. Starting is work for the processor, and more at once make each one slower.",
    ),
    Setting(
        "allow_origin",
        origins,
        "",
        "none",
        "origins, or *",
        "Sites whose pages may use this node's API and its sandboxes' from a browser (CORS).",
    ),
    Setting(
        "frame_ancestors",
        sites,
        "",
        "none",
        "origins, or *",
        "Sites that may show this node's notebooks in a frame.",
    ),
    Setting(
        "origin",
        one_of("node", "sandbox"),
        "node",
        "node",
        "",
        "node: all sandboxes share the node's origin. sandbox: each has its own, NAME.HOST, which needs a wildcard in "
        "the DNS and in the certificate.",
    ),
    Setting(
        "warn_seconds",
        count(0, 36_000),
        "600",
        "600",
        "seconds",
        "How long before its end a session's pages warn the person in them; at most a quarter of the limit. 0: never.",
    ),
    Setting(
        "templates_dir",
        optional_file,
        "",
        "none",
        "path",
        "Templates in here are used instead of the node's own pages of the same name.",
    ),
    Setting(
        "proxy_user",
        matching(r"[a-z_][a-z0-9_-]{0,31}", "a user's name"),
        "www-data",
        "www-data",
        "user",
        "Whom nginx's workers run as when the proxy is started as root; otherwise they run as whoever started it.",
    ),
    Setting(
        "access_log",
        matching(r"off|/[A-Za-z0-9._/-]+|syslog:server=[A-Za-z0-9._:/,=-]+", "off, a path or syslog:server=…"),
        "/dev/stdout",
        "/dev/stdout",
        "path",
        "Where nginx writes a line per request: when, method, what was asked in a word, status, size, seconds and the "
        "sandbox's name, never its address.",
    ),
    Setting(
        "log_format",
        one_of("text", "json"),
        "text",
        "text",
        "",
        "The agent's own lines. text: key=value, for eyes and grep; json: an object a line, for a log store.",
    ),
    Setting(
        "reserve",
        size(1),
        "128m",
        "128m",
        "size",
        "What each sandbox is counted with at least when the host's memory is shared out, or with what it uses.",
    ),
    Setting(
        "keep_free",
        size(0),
        "512m",
        "512m",
        "size",
        "Memory of the host that sandboxes leave alone: none starts where it would be needed.",
    ),
    Setting(
        "pools",
        names,
        "",
        "none",
        "names",
        "Further pools beside `default`, each with an image of its own: TMPNB_NODE_POOL_NAME_IMAGE, likewise …_WARM, "
        "…_CAPACITY, …_LANDING, …_COMMAND, …_TRIAL_CELL, …_CULL_IDLE_SECONDS, …_MAX_AGE_SECONDS, …_UNVISITED_SECONDS "
        "and each of the limits below. What is not set is as for `default`.",
    ),
    *docker_settings.TABLE,
)


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        ConfigError: with everything that is wrong, not only the first.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    unsound = False
    for row in TABLE:
        if row.variable in environment:
            text = environment[row.variable]
        elif callable(row.default):
            # A default that follows from a setting that is itself wrong would only be reported a second time.
            if unsound:
                continue
            text = row.default(values)
        else:
            text = row.default
        try:
            values[row.field] = row.parse(text)
        except ValueError as error:
            problems.append(f"{row.variable} {error}")
            unsound = True
    pools, of_pools = pool_settings.read(environment, values, TABLE) if "pools" in values else ((), [])
    problems += of_pools + unknown(environment, values.get("pools", ())) + contradictions(values)
    if not problems:
        problems += [f"pool {pool.name}: {problem}" for pool in pools for problem in pool_problems(pool, values)]
    if problems:
        raise ConfigError(problems)
    fields = {name: value for name, value in values.items() if name not in docker_settings.FIELDS}
    return Settings(**fields | {"limits": pools[0].limits, "pools": pools})


def unknown(environment: Mapping[str, str], pools: Iterable[str]) -> list[str]:
    """A misspelt setting would otherwise be silently at its default."""
    known = [row.variable for row in TABLE]
    known += [pool_settings.variable(pool, row) for pool in pools for row in TABLE if row.field in pool_settings.OWN]
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            found.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def pool_problems(pool: PoolSettings, values: Mapping[str, Any]) -> list[str]:
    """What does not fit together within one pool."""
    found = []
    if pool.warm > pool.capacity:
        found.append(f"WARM is {pool.warm}, more than its CAPACITY, {pool.capacity}")
    if pool.life.unvisited >= pool.life.max_age:
        found.append("UNVISITED_SECONDS must be shorter than MAX_AGE_SECONDS")
    if values["runtime"] == "docker":
        found += limit_problems(pool.limits)
        if not pool.image:
            found.append("its IMAGE is needed")
    return found


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """Settings that are fine one by one and not together. `values` may lack those that are not fine."""
    found = []
    if values.get("warm", 0) > values.get("capacity", 10_000):
        found.append(f"{PREFIX}WARM is {values['warm']}, more than {PREFIX}CAPACITY, {values['capacity']}")
    if values.get("unvisited_seconds", 0) >= values.get("max_age_seconds", 10**9):
        found.append(f"{PREFIX}UNVISITED_SECONDS must be shorter than {PREFIX}MAX_AGE_SECONDS")
    if bool(values.get("tls_cert")) != bool(values.get("tls_key")):
        found.append(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY go together: set both or neither")
    if values.get("tls_cert") and values.get("url", "https:").startswith("http:"):
        found.append(f"{PREFIX}URL has to begin with https:// where {PREFIX}TLS_CERT is set")
    if values.get("http_listen") and not values.get("tls_cert", True):
        found.append(f"{PREFIX}HTTP_LISTEN is for a node that speaks TLS: set {PREFIX}TLS_CERT too, or only LISTEN")
    if values.get("join") and bool(values.get("join_token")) == bool(values.get("join_token_file")):
        found.append(f"{PREFIX}JOIN needs the fleet's join token: set {PREFIX}JOIN_TOKEN_FILE, or {PREFIX}JOIN_TOKEN")
    if values.get("origin") == "sandbox" and re.fullmatch(
        r"[0-9.]+|.*:.*", urlsplit(values.get("url", "")).hostname or ""
    ):
        found.append(f"{PREFIX}URL has to have a host name, not an address, with {PREFIX}ORIGIN=sandbox")
    if values.get("runtime") == "docker" and values.get("image") == "":
        found.append(f"{PREFIX}IMAGE is needed with {PREFIX}RUNTIME=docker: the image that each sandbox runs")
    return found


def environment() -> Mapping[str, str]:
    """This process's variables: for the process runtime, which passes on the harmless part of them, and for nginx."""
    return dict(os.environ)


def from_environment() -> Settings:
    return load(os.environ)
