"""Behind the nginx that is shipped, clients who are slow or send too much cannot tie up the redirector."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from node_agent.proxy import find_nginx
from tests.support.authority import Authority
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.live_fleet import free_ports
from tests.support.served import Served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SHIPPED = Path(__file__).parents[2] / "deploy" / "redirector" / "nginx" / "tmpnb.conf"
SLOW = 60
"""Clients that never finish, of a redirector with four threads."""


class Front:
    """nginx with the shipped configuration, at ports and paths of the test's own."""

    def __init__(self, root: Path, redirector: int) -> None:
        plain, self.port = free_ports(2)
        authority = Authority(root / "authority")
        authority.issue(root / "tls", "localhost")
        self._context = ssl.create_default_context(cafile=str(authority.certificate))
        shipped = SHIPPED.read_text()
        for ours, here in {
            "unix:/run/tmpnb-redirector/http.sock": f"127.0.0.1:{redirector}",
            "    listen [::]:80 default_server;\n": "",
            "    listen [::]:443 ssl http2 default_server;\n": "",
            "listen 80 default_server": f"listen 127.0.0.1:{plain}",
            "listen 443 ssl http2 default_server": f"listen 127.0.0.1:{self.port} ssl http2",
            "/etc/tmpnb/": f"{root}/",
            "/var/log/nginx/": f"{root}/",
        }.items():
            assert ours in shipped, ours
            shipped = shipped.replace(ours, here)
        config = root / "nginx.conf"
        config.write_text(
            f"daemon off; pid {root}/pid; error_log {root}/error.log; events {{ worker_connections 1024; }}\n"
            f"http {{ client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f;\n"
            f"uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n{shipped}\n}}\n"
        )
        self.process = subprocess.Popen([find_nginx(), "-e", str(root / "error.log"), "-c", str(config)])

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self._context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self._context)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def front(nodes: FakeNodes, tmp_path: Path) -> Iterator[Front]:
    environ = {"TMPNB_WORKERS": "1", "TMPNB_THREADS": "4", "TMPNB_TRUSTED_PROXIES": "1"}
    with ExitStack() as stack:
        served = Served(tmp_path / "state", **environ)
        stack.callback(served.stop)
        served.wait_until_up()
        node = nodes.add("n1", ready=100, capacity=100)
        served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
        wait_until(lambda: served.available() == 100, 15)
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="front-")))
        root.chmod(0o755)
        front = Front(root, served.port)
        stack.callback(front.stop)
        wait_until(lambda: front.ask("GET", "/healthz") == 200, 15, "nginx")
        yield front


def test_requests_that_never_end_keep_nobody_out(front: Front) -> None:
    beginnings = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/spawn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /api/nodes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    )
    with ExitStack() as stack:
        for number in range(SLOW):
            slow = stack.enter_context(front.connect())
            slow.sendall(beginnings[number % len(beginnings)])
        assert [front.ask("GET", "/") for _ in range(8)] == [302] * 8


def test_requests_that_are_too_large_are_refused_at_the_door(front: Front) -> None:
    assert front.ask("POST", "/api/spawn", b"{" + b" " * 1_000_000) in (0, 413), "closed while sending, or refused"
    assert front.ask("GET", "/lab/" + "a" * 12_000) == 414
    assert front.ask("GET", "/", Cookie="a" * 12_000) == 400
    assert front.ask("GET", "/") == 302
