"""A fleet of containers on this machine's engine, by the compose files that are shipped, with TLS from a throw-away
authority.

Every part has a compose project and private network of its own. One more network stands for the Internet: there the
front and the proxies bear public names, and the tests' visitors come through it. Names are resolved by `public_names`,
which stands for DNS.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import requests

from tests.support.authority import Authority
from tests.support.docker_host import BASE_IMAGE
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0
RESTART_SECONDS = 60.0


def command(*argv: str | Path, says: str | None = None, within: float = 120.0) -> str:
    """Run a program and return what it said; what it complains about is the assertion's message."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=says, capture_output=True, text=True, check=False, timeout=within)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


class Project:
    """One compose project: a copy of what is shipped, an operator's `.env`, and what only a test needs on top."""

    def __init__(self, part: str, name: str, root: Path, settings: dict[str, str], extra: dict[str, Any]) -> None:
        self.name = name
        self.directory = root / name
        shipped = ROOT / "deploy" / part
        shutil.copytree(shipped, self.directory, ignore=shutil.ignore_patterns("secrets", ".env", "systemd"))
        self.settings = settings
        self.more_files: tuple[str, ...] = ()
        """Of the shipped compose files, beside the main one."""
        self._write_settings()
        # JSON is YAML.
        (self.directory / "docker-compose.override.yml").write_text(json.dumps(extra))

    def set(self, **settings: str) -> None:
        self.settings |= settings
        self._write_settings()

    def argv(self, *words: str) -> list[str]:
        files = ("docker-compose.yml", *self.more_files, "docker-compose.override.yml")
        options = ["--project-directory", str(self.directory), "--project-name", self.name]
        return ["docker-compose", *options, *(f"--file={self.directory / file}" for file in files), *words]

    def compose(self, *words: str, says: str | None = None, within: float = 120.0) -> str:
        return command(*self.argv(*words), says=says, within=within)

    def follow(self, commands: str) -> None:
        """Do what a page says, line by line, in this project's directory."""
        lines = [line for line in commands.splitlines() if not line.startswith("cd ")]
        script = "\n".join(lines).replace("docker-compose", " ".join(self.argv()))
        command("bash", "-euc", f"cd {self.directory}\n{script}")

    def build(self, service: str, tag: str) -> None:
        """Build a service's image as an operator does for an upgrade, under another tag."""
        self.set(TMPNB_VERSION=tag)
        self.compose("build", "--quiet", service, within=900)

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).strip()

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "60")

    def _write_settings(self) -> None:
        (self.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))


class ContainerFleet:
    """One redirector and its nodes. Leaving the context ends everything, and asserts that nothing is left."""

    def __init__(
        self, nodes: int, capacity: int, image: str, tag: str, *, later: str = "", **settings: dict[str, str]
    ) -> None:
        """`later` is a node that is not started at once; `settings` are some nodes' own, by their names."""
        self._later = later
        # Short, for the sockets in it, and passable for nginx's workers.
        self.root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.root.chmod(0o755)
        self.name = f"tmpnb{self.root.name}".lower().replace("_", "x")
        self.authority = Authority(self.root / "authority")
        self.tag = tag
        self.url = "https://entry.fleet.test"
        self.names: dict[str, str] = {}
        """Public names and where they are, as of the last `refresh_names`."""
        self.certify("entry")
        self.redirector = Project(
            "redirector",
            f"{self.name}r",
            self.root,
            {
                "TMPNB_ENTRY_URL": self.url,
                "TMPNB_POLL_SECONDS": "1",
                "TMPNB_TLS_DIR": str(self.root / "tls" / "entry"),
                **self._common("entry"),
            },
            self._redirector_extra(),
        )
        self.nodes = {
            name: Project(
                "node",
                f"{self.name}{name}",
                self.root,
                self._node_settings(name, capacity, image) | settings.get(name, {}),
                self._node_extra(name),
            )
            for name in (f"n{number}" for number in range(1, nodes + 1))
        }

    # What only a test needs on top of the shipped files.

    def _common(self, name: str) -> dict[str, str]:
        # Ports of this machine are published as shipped, but on loopback and wherever there is one free.
        return {
            # An authority of the operator's own.
            "TMPNB_AUTHORITY": str(self.authority.certificate),
            "TMPNB_CERTIFICATES": str(self.root / "tls" / name),
            "TMPNB_HTTPS_PORT": "127.0.0.1:",
            "TMPNB_HTTP_PORT": "127.0.0.1:",
            "TMPNB_VERSION": self.tag,
            "BASE_IMAGE": BASE_IMAGE,
        }

    def _networks(self, alias: str = "") -> dict[str, Any]:
        return {"default": {}, "internet": {"aliases": [alias]} if alias else {}}

    def _extra(self, services: dict[str, dict[str, Any]]) -> dict[str, Any]:
        # Builds here reach the package index as this machine does.
        build = {"context": str(ROOT), "network": "host"}
        return {
            "services": {name: {"build": build, **service} for name, service in services.items()},
            "networks": {"internet": {"external": True, "name": self.name}},
        }

    def _redirector_extra(self) -> dict[str, Any]:
        return self._extra(
            {"redirector": {"networks": self._networks()}, "front": {"networks": self._networks("entry.fleet.test")}},
        )

    def _node_extra(self, name: str) -> dict[str, Any]:
        return self._extra(
            {"agent": {"networks": self._networks()}, "proxy": {"networks": self._networks(f"{name}.fleet.test")}},
        )

    def _node_settings(self, name: str, capacity: int, image: str) -> dict[str, str]:
        self.certify(name)
        (self.root / "run").mkdir(exist_ok=True)
        return {
            "TMPNB_NODE_NAME": name,
            "TMPNB_NODE_URL": f"https://{name}.fleet.test",
            "TMPNB_NODE_ENTRY_URL": self.url,
            "TMPNB_NODE_FLEET_ONLY": "1",
            "TMPNB_NODE_IMAGE": image,
            "TMPNB_NODE_CAPACITY": str(capacity),
            "TMPNB_NODE_RUN_DIR": str(self.root / "run" / name),
            "TMPNB_NODE_TLS_CERT": str(self.root / "tls" / name / "fullchain.pem"),
            "TMPNB_NODE_TLS_KEY": str(self.root / "tls" / name / "privkey.pem"),
            **self._common(name),
        }

    def certify(self, name: str) -> None:
        self.authority.issue(self.root / "tls" / name, f"{name}.fleet.test", f"*.{name}.fleet.test")

    # What an operator does.

    def build(self) -> None:
        self.redirector.compose("build", "--quiet", within=900)
        next(iter(self.nodes.values())).compose("build", "--quiet", within=900)

    def tmpnb(self, *words: str, says: str | None = None, within: float = 120.0) -> str:
        """The operator's command, in the redirector's container."""
        return self.redirector.compose("exec", "-T", "redirector", "tmpnb", *words, says=says, within=within)

    def node(self, name: str) -> dict[str, Any]:
        listed = json.loads(self.tmpnb("node", "list", "--json"))
        return next((node for node in listed if node["name"] == name), {})

    def join_token(self) -> str:
        return (self.redirector.directory / "secrets" / "join_token").read_text().strip()

    def start(self, name: str) -> None:
        self.nodes[name].compose("up", "--detach")
        self.refresh_names()

    def add(self, name: str) -> None:
        token = self.nodes[name].compose("exec", "-T", "agent", "cat", "/var/lib/tmpnb-agent/token")
        self.tmpnb("node", "add", f"https://{name}.fleet.test", "--name", name, "--token-file", "-", says=token)

    def agent_stats(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.nodes[name].compose("exec", "-T", "agent", "tmpnb-agent", "status", "--json")))

    # What a visitor does.

    def refresh_names(self) -> None:
        """As DNS would be changed when something has moved."""
        parts = {"entry.fleet.test": self.redirector.container("front")}
        parts |= {f"{name}.fleet.test": node.container("proxy") for name, node in self.nodes.items()}
        for name, container in parts.items():
            if not container:
                continue
            [described] = json.loads(command("docker", "inspect", container))
            attached = described["NetworkSettings"]["Networks"].get(self.name, {})
            if attached.get("IPAddress"):
                self.names[name] = attached["IPAddress"]

    def visit(self, path: str = "/") -> requests.Response:
        """Open a path at the entry as a newcomer does, without following the redirect."""
        return requests.get(f"{self.url}{path}", allow_redirects=False, timeout=30)

    def stats(self) -> dict[str, Any]:
        """The fleet's `/stats`; empty while it does not answer with some."""
        try:
            answer = requests.get(f"{self.url}/stats", timeout=5)
        except requests.RequestException:
            return {}
        return dict(answer.json()) if answer.ok else {}

    def wait_until_available(self, count: int) -> None:
        wait_until(lambda: self.stats().get("available", 0) >= count, START_SECONDS, f"{count} free slots")

    # Beginning and end.

    def __enter__(self) -> Self:
        command("docker", "network", "create", self.name)
        try:
            command(self.redirector.directory / "make-secrets")
            self.build()
            self.redirector.compose("up", "--detach")
            for name, node in self.nodes.items():
                if "TMPNB_NODE_JOIN" in node.settings:
                    node.set(TMPNB_NODE_JOIN_TOKEN=self.join_token())
                if name != self._later:
                    node.compose("up", "--detach")
            self.refresh_names()
        except BaseException:
            self.say_what_happened()
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.say_what_happened()
        self._end()
        assert self.leftovers() == []
        shutil.rmtree(self.root)

    def say_what_happened(self) -> None:
        for project in (self.redirector, *self.nodes.values()):
            print(project.logs())

    def _end(self) -> None:
        """Take the hosts out of service as docs/operations.md says: sandboxes too."""
        for node in self.nodes.values():
            if node.container("agent"):
                node.compose("stop", "agent")
                node.compose("run", "--rm", "--no-deps", "agent", "purge")
            node.compose("down", "--volumes")
        self.redirector.compose("down", "--volumes")
        command("docker", "network", "rm", self.name)

    def leftovers(self) -> list[str]:
        """Whatever of this fleet the engine still has, and sockets in run directories."""
        mine = f"name={self.name}"
        found = [
            *command("docker", "ps", "--all", "--filter", mine, "--format", "{{.Names}}").split(),
            *command("docker", "volume", "ls", "--filter", mine, "--format", "{{.Name}}").split(),
            *command("docker", "network", "ls", "--filter", mine, "--format", "{{.Name}}").split(),
        ]
        for name in self.nodes:
            label = f"label=tmpnb.node={name}"
            mounts = command("docker", "ps", "--all", "--filter", label, "--format", "{{.Names}} {{.Mounts}}")
            found += [line for line in mounts.splitlines() if str(self.root) in line]
        return found + [str(path) for path in self.root.rglob("*.sock")]


@contextmanager
def public_names(names: Mapping[str, str], authority: Path) -> Iterator[None]:
    """Resolve the fleet's public names in this process as DNS would, and trust its authority."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        # A node that gives each sandbox an origin of its own has a wildcard below its name.
        below = name.partition(".")[2]
        return real(names.get(name) or names.get(below) or host, *arguments, **options)

    trusted = {"REQUESTS_CA_BUNDLE": str(authority), "WEBSOCKET_CLIENT_CA_BUNDLE": str(authority)}
    with mock.patch.object(socket, "getaddrinfo", resolve), mock.patch.dict(os.environ, trusted):
        yield
