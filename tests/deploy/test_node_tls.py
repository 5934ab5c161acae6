"""A node's nginx speaks TLS: from its first certificate on, over renewals, without ending an open websocket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from node_agent.errors import NodeConfigError
from node_agent.proxy import host
from node_agent.settings import table as config
from tests.support.authority import Authority
from tests.support.base_ports import free_ports
from tests.support.waiting import wait_until

pytestmark = pytest.mark.live

KEY = "a" * 34
UPGRADE = (
    f"GET /user/{KEY}/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Node:
    """`tmpnb-agent proxy` with a certificate's place that may still be empty, and no agent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tls_port, self.http_port = free_ports(2)
        self.authority = Authority(root / "authority")
        self.acme_dir = root / "acme"
        (self.acme_dir / ".well-known" / "acme-challenge").mkdir(parents=True)
        self.environment = {
            "TMPNB_NODE_RUNTIME": "process",
            "TMPNB_NODE_RUN_DIR": str(root / "run"),
            "TMPNB_NODE_STATE_DIR": str(root / "state"),
            "TMPNB_NODE_LISTEN": f"127.0.0.1:{self.tls_port}",
            "TMPNB_NODE_URL": f"https://localhost:{self.tls_port}",
            "TMPNB_NODE_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
            "TMPNB_NODE_TLS_CERT": str(root / "tls" / "fullchain.pem"),
            "TMPNB_NODE_TLS_KEY": str(root / "tls" / "privkey.pem"),
            "TMPNB_NODE_ACME_DIR": str(self.acme_dir),
            "TMPNB_NODE_ACCESS_LOG": "off",
        }
        settings = config.load(self.environment)
        os.close(host.take_run_dir(settings))
        host.open_to_nginx(settings)
        host.write_proxy_config(settings)
        program = [str(Path(sys.executable).parent / "tmpnb-agent"), "proxy"]
        self.process = subprocess.Popen(program, env={"PATH": os.environ["PATH"], **self.environment})

    def certify(self) -> None:
        self.authority.issue(self.root / "tls", "localhost")

    def plain(self, path: str) -> requests.Response | None:
        try:
            return requests.get(f"http://127.0.0.1:{self.http_port}{path}", allow_redirects=False, timeout=5)
        except requests.ConnectionError:
            return None

    def connect(self) -> ssl.SSLSocket:
        trusting = ssl.create_default_context(cafile=str(self.authority.certificate))
        bare = socket.create_connection(("127.0.0.1", self.tls_port), timeout=10)
        try:
            return trusting.wrap_socket(bare, server_hostname="localhost")
        except OSError:
            bare.close()
            raise

    def serial(self) -> str:
        """Of the certificate that newcomers see; empty while there is none."""
        try:
            with self.connect() as connection:
                return str((connection.getpeercert() or {})["serialNumber"])
        except OSError:
            return ""

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def node() -> Iterator[Node]:
    # Short, for the sockets in it; passable, for nginx's workers.
    root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    root.chmod(0o755)
    started = Node(root)
    yield started
    started.stop()
    shutil.rmtree(root)


@pytest.fixture
def echo(node: Node) -> Iterator[None]:
    """A sandbox that takes a websocket and then says back whatever it hears."""
    directory = node.root / "run" / "user" / KEY
    directory.mkdir(parents=True)
    for path in (directory, directory.parent):
        path.chmod(0o755)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(directory / "jupyter.sock"))
    (directory / "jupyter.sock").chmod(0o666)
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while heard := connection.recv(65536):
                connection.sendall(heard)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join(30)
    server.close()


def test_a_node_without_a_certificate_answers_the_authority_and_takes_up_tls_once_it_has_one(node: Node) -> None:
    (node.acme_dir / ".well-known" / "acme-challenge" / "proof").write_text("it is me")
    wait_until(lambda: node.plain("/"), 20, "plain HTTP")

    answer = node.plain("/.well-known/acme-challenge/proof")
    assert answer is not None
    assert answer.text == "it is me"

    node.certify()
    wait_until(node.serial, 20, "TLS")
    still = node.plain("/.well-known/acme-challenge/proof")
    assert still is not None
    assert still.text == "it is me"


def test_plain_http_sends_visitors_to_tls_path_and_query_kept(node: Node) -> None:
    node.certify()
    wait_until(node.serial, 20, "TLS")

    answer = node.plain("/lab?reset=1")

    assert answer is not None
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://127.0.0.1:{node.tls_port}/lab?reset=1"


def test_answers_over_tls_ask_browsers_to_stay_there(node: Node) -> None:
    node.certify()
    wait_until(node.serial, 20, "TLS")

    answer = requests.get(
        f"https://localhost:{node.tls_port}/user/{KEY}/lab", verify=str(node.authority.certificate), timeout=10
    )

    assert answer.status_code == 410
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.usefixtures("echo")
def test_a_renewed_certificate_is_used_at_once_and_open_websockets_go_on(node: Node) -> None:
    node.certify()
    before = wait_until(node.serial, 20, "TLS")
    with node.connect() as socket_:
        socket_.sendall(UPGRADE.encode())
        assert b" 101 " in socket_.recv(65536)

        node.certify()
        wait_until(lambda: node.serial() not in ("", before), 20, "the new certificate")

        socket_.sendall(b"still there?")
        assert socket_.recv(65536) == b"still there?"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"TLS_CERT": "/c.pem"}, "TLS_CERT and TMPNB_NODE_TLS_KEY go together"),
        ({"TLS_CERT": "/c.pem", "TLS_KEY": "/k.pem", "URL": "http://n1.example.org"}, "URL has to begin with https://"),
        ({"HTTP_LISTEN": "0.0.0.0:80"}, "HTTP_LISTEN is for a node that speaks TLS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(NodeConfigError, match=problem):
        config.load({"TMPNB_NODE_RUNTIME": "process", **{f"TMPNB_NODE_{k}": v for k, v in settings.items()}})


def test_the_url_of_a_node_with_a_certificate_is_https() -> None:
    tls = {"TMPNB_NODE_TLS_CERT": "/c.pem", "TMPNB_NODE_TLS_KEY": "/k.pem"}

    assert config.load({"TMPNB_NODE_RUNTIME": "process", **tls}).url == "https://127.0.0.1:8101"
