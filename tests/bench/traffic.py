"""What a node's nginx carries: requests to one sandbox, shared files, and the memory of open websockets."""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from node_agent.assets.store import AssetStore
from node_agent.proxy.nginx_program import find_nginx
from tests.bench.report import Table
from tests.support.base_ports import free_ports
from tests.support.node_nginx import KEY, Front, run_nginx
from tests.support.waiting import wait_until

SECONDS, CONNECTIONS = 8, 64
WEBSOCKETS, OF_ONE = 1000, 100
LETTERS = str.maketrans("0123456789", "abcdefghij")
BODY = "x" * 100
SHARED = "0123456789abcdef"

UPSTREAM = """
daemon off; master_process off; pid {root}/pid; error_log stderr crit; worker_rlimit_nofile 10000;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
    uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; keepalive_requests 1000000;
    server {{ listen unix:{socket}; listen 127.0.0.1:{port};
      location / {{ default_type application/json; return 200 '{{"x": "{body}"}}'; }} }}
}}
"""

UPGRADE = (
    "GET /user/{key}/api/kernels/k/channels HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    per_second: float
    p50: str
    p99: str

    @property
    def row(self) -> list[str]:
        return [f"{self.per_second:,.0f}", self.p50, self.p99]


def run() -> Table:
    with run_nginx(ACCESS_LOG="off") as front:
        store = AssetStore(front.run_dir / "static")
        store.prepare()
        store.put(SHARED, [("lab/index.html", b""), ("lab/main.js", BODY.encode() * 100)])
        with fast_sandbox(front) as port:
            direct = load(f"http://127.0.0.1:{port}/")
            proxied = load(f"http://127.0.0.1:{front.port}/user/{KEY}/api/status")
            page = load(f"http://127.0.0.1:{front.port}/static/{SHARED}/lab/main.js")
        per_websocket = websocket_bytes(front)
    return Table(
        f"Traffic through a node's nginx, {CONNECTIONS} connections, wrk on the same machine",
        ["what", "requests/s", "p50", "p99"],
        [
            ["to one sandbox, a small JSON answer", *proxied.row],
            ["the same asked of the sandbox itself", *direct.row],
            ["a shared file of 10 kB, compressed", *page.row],
            [f"memory for each of {WEBSOCKETS:,} open websockets", f"{per_websocket / 1024:.1f} kB", "", ""],
        ],
        "The sandbox is a bare nginx, so that what is measured is the proxy. JupyterHub's configurable-http-proxy, on "
        "the same kind of machine: 3,500 a second at a p99 of 212 ms.",
    )


@contextmanager
def fast_sandbox(front: Front) -> Iterator[int]:
    """A server behind `/user/<key>/` that costs next to nothing; also on the TCP port that it yields."""
    [port] = free_ports(1)
    root = front.run_dir / "upstream"
    root.mkdir()
    path = _socket_path(front)
    config = root / "nginx.conf"
    config.write_text(UPSTREAM.format(root=root, socket=path, port=port, body=BODY))
    with subprocess.Popen([find_nginx(), "-e", "stderr", "-p", str(root), "-c", str(config)]) as nginx:
        try:
            wait_until(lambda: path.exists() and _listens(port), 10, "the upstream")
            path.chmod(0o666)
            yield port
        finally:
            nginx.terminate()
            nginx.wait(10)
            path.unlink(missing_ok=True)


def load(url: str) -> Load:
    program = shutil.which("wrk")
    assert program, "wrk is not installed: apt-get install wrk"
    command = [program, "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    found = {name: match[1] for name, match in _numbers(said)}
    return Load(float(found["rate"]), found["p50"], found["p99"])


def _numbers(said: str) -> Iterator[tuple[str, re.Match[str]]]:
    patterns = {"rate": r"Requests/sec:\s+([\d.]+)", "p50": r"50%\s+(\S+)", "p99": r"99%\s+(\S+)"}
    for name, pattern in patterns.items():
        match = re.search(pattern, said)
        assert match, said
        yield name, match


def websocket_bytes(front: Front) -> float:
    """Memory of nginx for each websocket, measured over many that are open and idle, as most are."""
    keys = [f"{number:0>8}".translate(LETTERS) + "2" * 26 for number in range(WEBSOCKETS // OF_ONE)]
    with echo_sandbox(_socket_path(front)):
        for key in keys:
            (front.run_dir / "user" / key).symlink_to(front.run_dir / "user" / KEY)
        opened = [upgraded(front.port, KEY)]
        before = memory(front)
        opened += [upgraded(front.port, key) for key in keys for _ in range(OF_ONE)]
        after = memory(front)
        for each in opened:
            each.close()
    return (after - before) / WEBSOCKETS


def upgraded(port: int, key: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(UPGRADE.format(key=key).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    assert b" 101 " in answer, answer
    # What a kernel's channel carries at its start leaves buffers behind, so that an idle one costs what it costs.
    connection.sendall(b"x" * 2000)
    heard = 0
    while heard < 2000:
        heard += len(connection.recv(4096))
    return connection


@contextmanager
def echo_sandbox(path: Path) -> Iterator[None]:
    """A sandbox that accepts every websocket and says back what it hears."""
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
        server.bind(str(path))
        path.chmod(0o666)
        server.listen(2048)
        ready.register(server, selectors.EVENT_READ)
        stop = threading.Event()
        thread = threading.Thread(target=_echo, args=(server, ready, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
            path.unlink()


def _echo(server: socket.socket, ready: selectors.DefaultSelector, stop: threading.Event) -> None:
    greeted: set[socket.socket] = set()
    while not stop.is_set():
        for key, _ in ready.select(0.1):
            if key.fileobj is server:
                ready.register(server.accept()[0], selectors.EVENT_READ)
                continue
            assert isinstance(key.fileobj, socket.socket)
            heard = key.fileobj.recv(65536)
            if heard:
                # A request comes in one piece from nginx.
                key.fileobj.sendall(heard if key.fileobj in greeted else ACCEPTED)
                greeted.add(key.fileobj)
            else:
                ready.unregister(key.fileobj)
                key.fileobj.close()
    for key in list(ready.get_map().values()):
        if isinstance(key.fileobj, socket.socket) and key.fileobj is not server:
            key.fileobj.close()


def memory(front: Front) -> int:
    """Of all of the node's nginx, shared pages counted once."""
    master = int((front.run_dir / "nginx" / "nginx.pid").read_text())
    processes = [psutil.Process(master), *psutil.Process(master).children()]
    return sum(process.memory_full_info().pss for process in processes)


def _socket_path(front: Front) -> Path:
    directory = front.run_dir / "user" / KEY
    directory.mkdir(exist_ok=True)
    return directory / "jupyter.sock"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
