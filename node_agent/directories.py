"""Every name below a node's run directory and state directory. A route of nginx is a directory here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tmpnb_common.keys import KEY_LENGTH

SOCKET_NAME = "jupyter.sock"
"""A sandbox's server listens on it, in the sandbox's own directory."""

SOCKET_PATH_LIMIT = 107
"""Linux ends a UNIX socket's path there."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """What agent, proxy and sandboxes share while the host is up."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the one agent that serves from here; the file stays."""
        return self.root / "agent.lock"

    @property
    def agent_socket(self) -> Path:
        return self.root / "agent.sock"

    @property
    def ready(self) -> Path:
        """A directory for each sandbox that nobody has yet; nginx does not look here."""
        return self.root / "ready"

    @property
    def claimed(self) -> Path:
        """A directory for each visitor's sandbox, named by its key."""
        return self.root / "user"

    @property
    def tickets(self) -> Path:
        return self.root / "tickets"

    @property
    def seen(self) -> Path:
        """A file for each sandbox that somebody has opened, made by nginx."""
        return self.root / "seen"

    @property
    def static(self) -> Path:
        """Browser files that all sandboxes of an image share."""
        return self.root / "static"

    @property
    def pages(self) -> Path:
        return self.root / "pages"

    @property
    def nginx_config(self) -> Path:
        return self.root / "nginx.conf"

    @property
    def nginx(self) -> Path:
        """What nginx writes for itself."""
        return self.root / "nginx"

    @property
    def nginx_pid(self) -> Path:
        """Removed by nginx when it ends."""
        return self.nginx / "nginx.pid"

    @property
    def config_until_certified(self) -> Path:
        return self.nginx / "until-certified.conf"

    def probe(self, word: str) -> Path:
        """A directory by which an engine is tried."""
        return self.root / f"probe-{word}"

    @property
    def excess(self) -> int:
        """By how many characters the paths of sockets are too long for Linux; 0: they fit."""
        return max(0, self.longest_socket - SOCKET_PATH_LIMIT)

    @property
    def longest_socket(self) -> int:
        """Characters of the longest path of a sandbox's socket."""
        return len(str(self.ready / ("k" * KEY_LENGTH) / SOCKET_NAME))

    def of_the_agent(self) -> list[Path]:
        """What an agent leaves. A proxy that starts before the next agent would serve with settings of the past."""
        kept = (self.nginx_config, self.agent_socket, self.claimed, self.ready, self.tickets, self.seen, self.static)
        return [*(path for path in kept if path.exists() or path.is_symlink()), *self.root.glob(self.probe("*").name)]

    def of_the_proxy(self) -> list[Path]:
        """What a running proxy shows; nothing while one runs."""
        return [] if self.nginx_pid.exists() else [path for path in (self.pages, self.nginx) if path.exists()]


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """What survives a reboot."""

    root: Path

    @property
    def node(self) -> Path:
        """Says the node's id."""
        return self.root / "node.json"

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def intent(self) -> Path:
        return self.root / "intent.json"

    @property
    def announcement(self) -> Path:
        return self.root / "announcement.json"

    @property
    def pool_changes(self) -> Path:
        return self.root / "pools.json"

    @property
    def sandboxes(self) -> Path:
        """A directory for each sandbox of runtime `process`."""
        return self.root / "sandboxes"
