"""A real nginx with the node's rendered configuration, and whatever the test puts behind it."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from node_agent.pools.ledger import Ledger
from node_agent.proxy import host, open_files
from node_agent.proxy.nginx_program import find_nginx
from node_agent.settings import table as config
from tests.support.base_ports import free_ports
from tests.support.node_fakes import Respond, UnixServer
from tests.support.waiting import wait_until

KEY = "abcdefgh" + "2" * 26
OTHER = "hgfedcba" + "3" * 26


@dataclass(frozen=True)
class Answer:
    """An answer as it came, header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The header's value; several of one name are joined as a browser would."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


@dataclass
class Front:
    """nginx, listening on `port`, over the run directory `run_dir`."""

    run_dir: Path
    port: int
    access_log: Path
    error_log: Path
    servers: list[UnixServer] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One request, its path sent exactly as given. Header names take `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, [(key.lower(), value) for key, value in answer.getheaders()], answer.read())
        finally:
            connection.close()

    def sandbox(self, key: str, respond: Respond) -> UnixServer:
        """Put a server behind `/user/<key>/`."""
        directory = self.run_dir / "user" / key
        directory.mkdir(exist_ok=True)
        (directory / "jupyter.sock").unlink(missing_ok=True)
        return self._serve(directory / "jupyter.sock", respond)

    def agent(self, respond: Respond) -> UnixServer:
        return self._serve(self.run_dir / "agent.sock", respond)

    def clear(self) -> None:
        for server in self.servers:
            server.stop()
        self.servers.clear()
        for key in (KEY, OTHER):
            shutil.rmtree(self.run_dir / "user" / key, ignore_errors=True)
            (self.run_dir / "seen" / key[:8]).unlink(missing_ok=True)
        (self.run_dir / "agent.sock").unlink(missing_ok=True)

    def _serve(self, path: Path, respond: Respond) -> UnixServer:
        server = UnixServer(path, respond)
        self.servers.append(server)
        return server


@contextmanager
def run_nginx(*, serve: bool = True, connections: int = host.CONNECTIONS, **settings: str) -> Iterator[Front]:
    """Start nginx before a run directory; without `serve` all but the program itself, for whoever starts it."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        Path(root).chmod(0o755)
        run_dir, access_log, error_log = Path(root) / "run", Path(root) / "access", Path(root) / "error"
        [port] = free_ports(1)
        given = {
            "RUNTIME": "process",
            "LISTEN": f"127.0.0.1:{port}",
            "URL": "https://node1.example.org",
            "ENTRY_URL": "https://entry.example.org",
            "RUN_DIR": str(run_dir),
            "ACCESS_LOG": str(access_log),
            **settings,
        }
        environment = {f"TMPNB_NODE_{name}": value for name, value in given.items()}
        read = config.load(environment)
        run_dir.mkdir()
        Ledger(run_dir).prepare()
        (run_dir / "nginx").mkdir()
        host.open_to_nginx(read)
        host.write_proxy_config(read, least=connections)
        front = Front(run_dir, port, access_log, error_log, settings=environment)
        if not serve:
            yield front
            front.clear()
            return
        # As `tmpnb-agent proxy` does.
        open_files.raise_limit(read.slots, 0, wish=open_files.NGINX)
        argv = [find_nginx(), "-e", "stderr", "-p", f"{run_dir}/nginx/", "-c", str(run_dir / "nginx.conf")]
        with error_log.open("wb") as log, subprocess.Popen(argv, stderr=log, stdout=log) as nginx:
            try:
                wait_until(lambda: _listens(front), 10, "nginx to listen")
                yield front
            finally:
                nginx.terminate()
                nginx.wait(10)
                front.clear()


def _listens(front: Front) -> bool:
    try:
        return front.ask("/").status > 0
    except OSError:
        return False
