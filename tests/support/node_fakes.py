"""Stand-ins for what an agent works with: a clock, a Jupyter server on a UNIX socket, a runtime that makes those."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import unquote

from node_agent.assets.browser_files import BrowserFiles
from node_agent.errors import EngineError
from node_agent.runtimes.contract import ImageState, Instance, Launch, Usage
from tmpnb_common.keys import base_path


class Clock:
    """A clock that the test turns."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


Respond = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request to a `UnixServer`, answered by the server's `respond`."""

    server: UnixServer
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # An empty write is a system call too, and fails once nginx has all it needs and has hung up.
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value: Any) -> None:
        self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")])

    def __getattr__(self, name: str) -> Any:
        # http.server looks for do_GET, do_PUT and so on: any method does.
        if name.startswith("do_"):
            return lambda: self.server.respond(self)
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


class UnixServer(ThreadingMixIn, UnixStreamServer):
    """A real HTTP server on a UNIX socket, in a thread of its own until `stop`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, path: Path, respond: Respond) -> None:
        self.respond = respond
        super().__init__(str(path), Request)
        # nginx's workers are another user.
        path.chmod(0o666)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def get_request(self) -> tuple[Any, Any]:
        # The base class takes the peer's address for a pair, which a UNIX socket has not.
        return self.socket.accept()[0], ("unix", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


@dataclass
class FakeJupyter:
    """What a fake sandbox says of itself."""

    kernels: list[str] = field(default_factory=list)
    """The state of each."""
    terminals: int = 0
    newest: str = "2026-01-01T00:00:00.000000Z"
    """When one of them exchanged a message last."""
    landing_status: int = 200
    requests: list[str] = field(default_factory=list)
    raw: bytes = b""
    """What it answers whatever it is asked, as it goes over the wire."""
    copies: bool = True
    """It has our launcher, which copies what the agent names."""
    home: dict[str, bytes] = field(default_factory=dict)
    """The files of its home, by path; a link holds `-> ` and its target."""
    models: list[dict[str, Any]] = field(default_factory=list)
    """What was written through its contents API."""
    slow: threading.Event | None = None
    """It fills its home only once this is set."""

    def respond(self, request: Request) -> None:
        self.requests.append(request.path)
        if self.raw:
            request.wfile.write(self.raw)
            request.close_connection = True
            return
        path = request.path.partition("?")[0]
        if path.endswith("/api/kernels"):
            request.answer_json([{"execution_state": each, "last_activity": self.newest} for each in self.kernels])
        elif path.endswith("/api/terminals"):
            request.answer_json([{"name": str(number)} for number in range(self.terminals)])
        elif path.endswith("/api/contents/Nope.ipynb"):
            request.answer(404)
        elif path.endswith("/tmpnb/fill"):
            self._copy(request)
        elif "/api/contents" in path:
            self._contents(request, unquote(path.partition("/api/contents")[2].lstrip("/")))
        else:
            request.answer(self.landing_status, b"a page")

    def _copy(self, request: Request) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        if self.slow is not None:
            self.slow.wait(30)
        if not self.copies:
            request.answer(404)
            return
        source = Path(body["source"])
        for path in source.rglob("*"):
            name = str(path.relative_to(source))
            if path.is_symlink():
                self.home.setdefault(name, f"-> {path.readlink()}".encode())
            elif path.is_file():
                self.home.setdefault(name, path.read_bytes())
        request.answer_json({"copied": len(self.home)})

    def _contents(self, request: Request, path: str) -> None:
        if request.command == "GET":
            inside = [name for name in self.home if name.startswith(f"{path}/" if path else "")]
            names = {name.removeprefix(f"{path}/").partition("/")[0] for name in inside}
            request.answer_json({"type": "directory", "content": [{"name": name} for name in sorted(names)]})
            return
        model = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.models.append({**model, "path": path})
        if model["type"] == "file":
            self.home[path] = base64.b64decode(model["content"])
        request.answer(201, b"{}")


@dataclass
class _Running:
    launch: Launch
    created_at: float
    jupyter: FakeJupyter
    server: UnixServer | None
    detail: str = ""
    alive: bool = True


class FakeEngine:
    """Sandboxes as threads with real sockets. It outlives the runtimes that speak to it, as an engine does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.running: dict[str, _Running] = {}
        self.images: dict[str, ImageState] = {}
        """Those that are not there, or not yet; all others are."""
        self.refuses = ""
        """Why no sandbox starts; empty while they do."""
        self.away = False
        self.confuses = False
        """Whoever starts or weighs a sandbox stumbles in a way that nobody foresaw."""
        self.silent = False
        """Sandboxes start and never listen."""
        self.landing_status = 200
        self.lock = threading.Lock()
        self.started = 0
        self.memory: dict[str, int] = {}
        """Bytes, by name; what is not in it uses `memory_of_each`."""
        self.memory_of_each = 10 << 20
        self.programs: set[str] = set()
        """Those with a program in a terminal, by name."""
        self.processor_seconds: dict[str, float] = {}
        """That they used, by name."""

    def jupyter(self, name: str) -> FakeJupyter:
        return self.running[name].jupyter

    def die(self, name: str, detail: str = "out of memory") -> None:
        running = self.running[name]
        running.alive, running.detail = False, detail
        if running.server is not None:
            running.server.stop()
            running.server = None

    def stumble(self) -> None:
        if self.confuses:
            raise TypeError("nobody foresaw this")

    def stop(self) -> None:
        for name in list(self.running):
            self.die(name)
        self.running.clear()


class FakeRuntime:
    """Implements `runtime.Runtime` over a `FakeEngine`."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def image_state(self, image: str) -> ImageState:
        self._ask()
        return self._engine.images.get(image, ImageState(there=True))

    def start(self, launch: Launch) -> None:
        self._ask()
        engine = self._engine
        if engine.refuses:
            raise EngineError(engine.refuses)
        engine.stumble()
        jupyter = FakeJupyter(landing_status=engine.landing_status)
        base = base_path(launch.key)

        def respond(request: Request) -> None:
            if request.path.startswith(base):
                jupyter.respond(request)
            else:
                request.answer(404)

        try:
            server = None if engine.silent else UnixServer(launch.directory / "jupyter.sock", respond)
        except FileNotFoundError as error:
            # It was ended in this very moment, and its directory is gone: real runtimes say so too.
            raise EngineError(f"the directory is gone: {error.strerror}") from error
        with engine.lock:
            engine.running[launch.name] = _Running(launch, engine.clock(), jupyter, server)
            engine.started += 1

    def instances(self) -> list[Instance]:
        self._ask()
        with self._engine.lock:
            return [
                Instance(
                    name,
                    each.launch.pool,
                    each.launch.image,
                    each.created_at,
                    each.alive,
                    each.detail,
                    each.launch.content,
                )
                for name, each in self._engine.running.items()
            ]

    def end(self, name: str) -> None:
        self._ask()
        with self._engine.lock:
            if name not in self._engine.running:
                return
            self._engine.die(name)
            del self._engine.running[name]

    def log_tail(self, name: str) -> str:
        with self._engine.lock:
            return f"the last words of {name}" if name in self._engine.running else ""

    def runs_program(self, name: str) -> bool:
        return name in self._engine.programs

    def usage(self, name: str) -> Usage:
        self._engine.stumble()
        with self._engine.lock:
            if name not in self._engine.running:
                return Usage()
            memory = self._engine.memory.get(name, self._engine.memory_of_each)
            return Usage(memory, self._engine.processor_seconds.get(name, 0.0))

    def browser_files(self, image: str) -> BrowserFiles | None:
        """It holds none."""

    def hides(self, directory: Path) -> str:  # noqa: ARG002 - nothing is hidden from threads
        return ""

    def tidy(self) -> None:
        """Nothing is shared."""

    def check(self) -> None:
        self._ask()

    def _ask(self) -> None:
        if self._engine.away:
            raise EngineError("the engine does not answer")
