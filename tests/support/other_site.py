"""A site that is not ours, for pages that embed or call us: `localhost` is another site than `127.0.0.1`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """One page, whose text the test sets, a path `/elsewhere` that leads on to another address, and a file for all."""

    url: str
    page: str = ""
    shared: str = ""
    """What `/shared.ipynb` holds, which pages of every site may read."""
    elsewhere: str = ""


@contextmanager
def another_site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (shown.shared if self.path == "/shared.ipynb" else shown.page).encode()
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", shown.elsewhere)
            elif self.path == "/shared.ipynb":
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
            else:
                self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown = Site(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
