"""A site that is not ours, whose pages use other programs' clients of BinderHub's protocol, unmodified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.programs import missing

PACKAGES = Path(sys.prefix) / "page-clients" / "node_modules"
"""Where scripts/get-page-clients has put them."""

BUNDLED = 'export { BinderRepository } from "@jupyterhub/binderhub-client/client.js";\n'


@dataclass
class ClientSite:
    """Pages by name, in front of the packages' own files."""

    url: str
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Type and text."""

    def add(self, name: str, body: str, head: str = "") -> str:
        """Serve a page; its address."""
        text = f'<!doctype html><html><head><meta charset="utf-8">{head}</head><body>{body}</body></html>'
        self.pages[f"/{name}"] = ("text/html; charset=utf-8", text)
        return f"{self.url}/{name}"

    def add_thebe(self, name: str, fleet_url: str, repository: str, code: str, **options: Any) -> str:
        """A page of thebe 0.9.3 with one cell."""
        binder = {"binderUrl": fleet_url, "repoProvider": "git", "repo": repository, "ref": "HEAD", **options}
        config = json.dumps({"requestKernel": True, "mountActivateWidget": True, "binderOptions": binder})
        return self.add(
            name,
            '<div class="thebe-activate"></div><div class="thebe-status"></div>'
            f'<pre data-executable="true" data-language="python">{code}</pre>',
            f'<script type="text/x-thebe-config">{config}</script><link rel="stylesheet" href="/thebe/lib/thebe.css">'
            '<script src="/thebe/lib/index.js"></script>',
        )

    def bundle_binderhub_client(self, root: Path) -> None:
        """Serve `/binderhub-client.js`, which a page gets `binderhubClient.BinderRepository` from."""
        entry = root / "entry.js"
        entry.write_text(BUNDLED)
        [esbuild] = PACKAGES.glob("@esbuild/*/bin/esbuild")
        done = subprocess.run(
            [esbuild, "--bundle", "--format=iife", "--global-name=binderhubClient", str(entry)],
            env={**os.environ, "NODE_PATH": str(PACKAGES)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.pages["/binderhub-client.js"] = ("text/javascript", done.stdout)


@contextmanager
def client_site() -> Iterator[ClientSite]:
    """Serve it, under another name than 127.0.0.1 and so as another site."""
    if not PACKAGES.exists():
        missing("npm was not there when scripts/get-page-clients ran")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(PACKAGES))

        def do_GET(self) -> None:
            kind, text = site.pages.get(self.path.partition("?")[0], ("", ""))
            if not kind:
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = ClientSite(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
