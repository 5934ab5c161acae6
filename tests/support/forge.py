"""A forge on loopback: git's own `http-backend` behind a small server, and the ways in which a forge can be ill."""

from __future__ import annotations

import base64
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GIT = {
    "PATH": os.defpath,
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "HOME": "/nonexistent",
    **{f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass(frozen=True)
class Link:
    """A symbolic link in a commit."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """Another repository's commit in a commit."""


@dataclass(frozen=True)
class Executable:
    """A file that may be run."""

    body: bytes


File = bytes | str | Link | Submodule | Executable


class Repository:
    """A bare repository that a forge serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(path), inside=False)
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")

    def git(self, *arguments: str, body: bytes | None = None, inside: bool = True) -> str:
        where = ["--git-dir", str(self.path)] if inside else []
        done = subprocess.run(["git", *where, *arguments], input=body, env=GIT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str | bytes, File], branch: str = "main") -> str:
        """Commit these files and no others; its name. Any bytes may be a file's name."""
        parts = [f"commit refs/heads/{branch}\ncommitter a <a> 1 +0000\ndata 1\nm\ndeleteall\n".encode()]
        for name, file in files.items():
            mode, body = _entry(file)
            shown = (
                b'"' + b"".join(b"\\%03o" % byte for byte in (name.encode() if isinstance(name, str) else name)) + b'"'
            )
            if mode == b"160000":
                parts.append(b"M 160000 %s %s\n" % (b"1" * 40, shown))
            else:
                parts.append(b"M %s inline %s\ndata %d\n%s\n" % (mode, shown, len(body), body))
        self.git("fast-import", "--quiet", "--force", body=b"".join(parts))
        return self.git("rev-parse", branch)

    def commit_tree(self, entries: list[tuple[str, str, bytes]], branch: str = "main") -> str:
        """Commit a tree that git itself would not make: modes, names and bodies as they are given."""
        raw = b""
        for mode, name, body in entries:
            key = self.git("hash-object", "-w", "--stdin", body=body)
            raw += f"{mode} {name}\0".encode() + bytes.fromhex(key)
        tree = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", body=raw)
        commit = self.git("commit-tree", "-m", "m", tree)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit


def _entry(file: File) -> tuple[bytes, bytes]:
    match file:
        case Link(target):
            return b"120000", target.encode()
        case Submodule():
            return b"160000", b""
        case Executable(body):
            return b"100755", body
        case str():
            return b"100644", file.encode()
        case bytes():
            return b"100644", file


Behaviour = Callable[["ForgeHandler"], bool]
"""Answers a request in its own way, or returns False to leave it to the forge."""


@dataclass
class Forge:
    """What it serves, what it was asked, and how it behaves."""

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    scheme: str = "http"
    token: str = ""
    """Wanted of everybody; empty: none."""
    behaviour: Behaviour | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    """Archives by path; each has an ETag."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths with their headers."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end: lets go of whoever is kept waiting."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set with every request."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def repository(self, name: str) -> Repository:
        return Repository(self.root / name)

    def address_of(self, name: str) -> str:
        return f"{self.url}/{name}"


class ForgeHandler(http.server.BaseHTTPRequestHandler):
    """Serves archives itself, and leaves the rest to git."""

    server: ForgeServer

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        forge = self.server.forge
        forge.requests.append((self.path, dict(self.headers.items())))
        forge.asked.set()
        if forge.behaviour is not None and forge.behaviour(self):
            return
        path, _, query = self.path.partition("?")
        if forge.token and not self._is_let_in(forge.token):
            self.answer(401, b"", {"WWW-Authenticate": "Basic realm=forge"})
        elif path in forge.files:
            body = forge.files[path]
            tag = f'"{hash(body)}"'
            if self.headers.get("If-None-Match") == tag:
                self.answer(304, b"", {"ETag": tag})
            else:
                self.answer(200, body, {"ETag": tag})
        else:
            self._git(path, query)

    def _is_let_in(self, token: str) -> bool:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        return token == text if kind == "Bearer" else base64.b64decode(text).decode().endswith(f":{token}")

    def _git(self, path: str, query: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environ = {
            **GIT,
            "GIT_PROJECT_ROOT": str(self.server.forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self.answer(status, answer, headers)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class ForgeServer(http.server.ThreadingHTTPServer):
    """One forge's server. Threads of kept-waiting requests end with it."""

    def __init__(self, forge: Forge) -> None:
        super().__init__((forge.host if forge.scheme == "http" else "127.0.0.1", 0), ForgeHandler)
        self.forge = forge
        forge.port = self.server_address[1]

    def handle_error(self, *_: Any) -> None:
        """A client that goes away in mid-answer is what the tests are about."""


@contextmanager
def serving_forge(
    root: Path, *, certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1"
) -> Iterator[Forge]:
    """A forge that serves the repositories in `root`, with TLS for `host` where a certificate and its key are given."""
    root.mkdir(parents=True, exist_ok=True)
    forge = Forge(root, host=host, scheme="https" if certificate else "http")
    server = ForgeServer(forge)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield forge
    finally:
        forge.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def hanging(handler: ForgeHandler) -> bool:
    """A byte, and then nothing until the forge ends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    handler.end_headers()
    handler.wfile.write(b"0")
    handler.wfile.flush()
    handler.server.forge.released.wait()
    handler.close_connection = True
    return True


def garbled(handler: ForgeHandler) -> bool:
    """Bytes that are neither a pack nor an archive."""
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.answer(200, os.urandom(5000), {"Content-Type": "application/x-git-upload-pack-result"})
    return True


def redirecting(target: str) -> Behaviour:
    """Every request is sent elsewhere."""

    def behave(handler: ForgeHandler) -> bool:
        handler.answer(302, b"", {"Location": target})
        return True

    return behave


def failing(handler: ForgeHandler) -> bool:
    """The forge has trouble of its own."""
    handler.answer(503, b"busy")
    return True
