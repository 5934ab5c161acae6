"""The nginx that is shipped for the redirector, in front of one that a test started: TLS, limits and all."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.proxy.nginx_program import find_nginx
from tests.support.authority import Authority
from tests.support.base_ports import free_ports
from tests.support.waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "deploy" / "redirector" / "nginx" / "tmpnb.conf"


class Front:
    """nginx with the shipped configuration, at ports and paths of the test's own."""

    def __init__(self, root: Path, redirector: int | str, streams: int | None = None) -> None:
        """Write the configuration below `root` and start nginx before a port, or before what nginx calls a server.

        `streams` is the port of the process of event streams; None: there is none.
        """
        root.chmod(0o755)
        plain, self.port = free_ports(2)
        authority = Authority(root / "authority")
        authority.issue(root / "tls", "localhost")
        self.authority = authority.certificate
        self._context = ssl.create_default_context(cafile=str(authority.certificate))
        shipped = SHIPPED.read_text()
        for ours, here in {
            "unix:/run/tmpnb-redirector/http.sock": redirector
            if isinstance(redirector, str)
            else f"127.0.0.1:{redirector}",
            "unix:/run/tmpnb-redirector/streams.sock": f"127.0.0.1:{streams}" if streams else f"unix:{root}/none.sock",
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

    def fetch(self, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        """One request over its own connection. Header names take `_` for `-`; the body is read already."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self._context)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body or None, headers=named)
            answer = connection.getresponse()
            answer.read()
            return answer
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """The answer's status; 0 if there is none."""
        try:
            return self.fetch(method, path, body, **headers).status
        except OSError:
            return 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@contextmanager
def redirector_front(redirector: int, streams: int | None = None) -> Iterator[Front]:
    """Put it before the redirector at that port, which has to trust one proxy; in use once this returns."""
    with tempfile.TemporaryDirectory(prefix="front-") as root:
        front = Front(Path(root), redirector, streams)
        try:
            wait_until(lambda: front.ask("GET", "/healthz") == 200, 15, "nginx")
            yield front
        finally:
            front.stop()
