"""Sandboxes as local processes, for trying the system on a machine without Docker and for fast tests.

It isolates nothing: whoever has such a sandbox can do whatever the agent's own user can. It says so at every start.

Each sandbox is a Jupyter server in a session of its own, so it outlives the agent, with a record on disk by which the
next agent finds it again. The record is written before the server is let go: an agent that dies in between leaves a
shell that reads the end of its input, and ends.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from node_agent.assets import browser_files
from node_agent.assets.browser_files import BrowserFiles
from node_agent.directories import SOCKET_NAME
from node_agent.errors import EngineError, HostError
from node_agent.jupyter import command
from node_agent.runtimes.contract import ImageState, Instance, Launch, Usage
from node_agent.runtimes.process.record import Record, read_record, write_record
from tmpnb_common.keys import base_path
from tmpnb_common.processes import StillRunningError, end_tree, runs_program, terminal_processes, tree_usage

log = logging.getLogger("runtimes")

JUPYTER_LAB = (sys.executable, "-P", "-m", "node_agent.jupyter.lab_launcher")
"""What `{server}` in a command template stands for."""

HELD_BACK = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sandbox")
"""Runs what follows once a line comes in, and not at all if none does."""

INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
"""All that a sandbox gets of the agent's environment. A list of what is harmless cannot forget a secret."""

END_SECONDS = 10.0
LOG_TAIL_BYTES = 4096


class ProcessRuntime:
    """Implements `runtime.Runtime` with one directory for each sandbox below `root`: home, output, record."""

    def __init__(
        self,
        root: Path,
        *,
        welcome: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
        clock: Callable[[], float],
        server: Sequence[str] = JUPYTER_LAB,
    ) -> None:
        """Run sandboxes below `root`, each home seeded with its pool's files in `welcome`, texts by name."""
        self._root = root
        self._welcome = welcome
        self._environment = environment
        self._clock = clock
        self._server = server
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        """Of this agent itself: it has to reap them. Those that it adopted are the init process's."""
        self._launching: set[str] = set()
        """Those without a record that are none the worse for it."""
        self._lock = threading.Lock()

    def image_state(self, image: str) -> ImageState:  # noqa: ARG002 - what it runs is no image
        return ImageState(there=True)

    def start(self, launch: Launch) -> None:
        with self._lock:
            self._launching.add(launch.name)
        try:
            self._launch(launch, self._root / launch.name)
        except OSError as error:
            # Not the error's own text: it may hold the socket's path, and that the key.
            raise EngineError(f"cannot start a process: {error.strerror or type(error).__name__}") from None
        except HostError as error:
            raise EngineError(f"cannot start a process: {error}") from error
        finally:
            with self._lock:
                self._launching.discard(launch.name)

    def _launch(self, launch: Launch, place: Path) -> None:
        self._seed(place / "home", launch)
        with (place / "output").open("wb") as output:
            child = subprocess.Popen(
                [*HELD_BACK, *self._argv(launch, place / "home")],
                cwd=place / "home",
                env=self._sandbox_environment(place / "home"),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with self._lock:
            self._children[launch.name] = child
        assert child.stdin is not None
        # Closed without a line in it, the gate ends the process that waits behind it.
        with child.stdin as gate:
            record = Record.of(child.pid, launch.pool, launch.image, self._clock(), launch.content)
            write_record(place, record)
            gate.write(b"go\n")

    def instances(self) -> list[Instance]:
        with self._lock:
            launching = set(self._launching)
            for child in self._children.values():
                child.poll()
        return [self._instance(place.name) for place in self._places() if place.name not in launching]

    def end(self, name: str) -> None:
        place = self._root / name
        home = str(place / "home")
        if record := read_record(place):
            # Kernels and terminals have sessions of their own; when their server is gone they have no parent either,
            # but still the sandbox's home in their environment.
            try:
                end_tree(record.process, lambda process: process.environ().get("HOME") == home, within=END_SECONDS)
            except StillRunningError as error:
                raise EngineError(str(error)) from error
        with self._lock:
            child = self._children.pop(name, None)
        if child is not None:
            child.kill()
            child.wait(END_SECONDS)
        try:
            _remove(place)
        except OSError as error:
            raise EngineError(f"cannot remove the files of sandbox {name}: {error.strerror}") from error

    def log_tail(self, name: str) -> str:
        try:
            with (self._root / name / "output").open("rb") as output:
                size = output.seek(0, 2)
                output.seek(max(0, size - LOG_TAIL_BYTES))
                return output.read(LOG_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def usage(self, name: str) -> Usage:
        process = self._process(name)
        return Usage(*tree_usage(process)) if process else Usage()

    def runs_program(self, name: str) -> bool:
        process = self._process(name)
        return process is not None and runs_program(terminal_processes(process))

    def _process(self, name: str) -> psutil.Process | None:
        record = read_record(self._root / name)
        return record.process.find() if record else None

    def browser_files(self, image: str) -> BrowserFiles | None:  # noqa: ARG002 - an image is a mere label here
        return browser_files.of_host(sys.prefix)

    def hides(self, directory: Path) -> str:  # noqa: ARG002 - they are processes of this very host
        return ""

    def tidy(self) -> None:
        """Nothing is shared between sandboxes."""

    def check(self) -> None:
        """Prove that sandboxes can start here, and warn."""
        if self._server == JUPYTER_LAB and importlib.util.find_spec("jupyterlab") is None:
            raise EngineError("JupyterLab is not installed: pip install 'tmpnb-fleet[sandbox]'")
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(f"{self._root} cannot be made: {error.strerror}") from error
        log.warning("runtime process isolates nothing: visitors can do whatever this user can. Only for trying.")

    def _seed(self, home: Path, launch: Launch) -> None:
        home.mkdir(mode=0o700, parents=True)
        for name, text in self._welcome[launch.pool].items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if launch.filling is not None:
            # Without the times, which are those of no file that a person made.
            shutil.copytree(launch.filling, home, symlinks=True, copy_function=shutil.copy, dirs_exist_ok=True)

    def _argv(self, launch: Launch, home: Path) -> list[str]:
        return command.expand(
            launch.command,
            server=self._server,
            base_path=base_path(launch.key),
            socket=str(launch.directory / SOCKET_NAME),
            home=str(home),
            landing=launch.landing,
            static=launch.static,
        )

    def _sandbox_environment(self, home: Path) -> dict[str, str]:
        inherited = {name: self._environment[name] for name in INHERITED if name in self._environment}
        path = f"{Path(sys.executable).parent}:{inherited.pop('PATH', '/usr/bin:/bin')}"
        # Whatever Jupyter keeps for itself goes into the home, and so away with it.
        hidden = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "share", "JUPYTER_RUNTIME_DIR": "runtime"}
        places = {variable: str(home / ".jupyter" / name) for variable, name in hidden.items()}
        return inherited | places | {"PATH": path, "HOME": str(home), "SHELL": "/bin/bash"}

    def _places(self) -> list[Path]:
        try:
            return [place for place in self._root.iterdir() if place.is_dir()]
        except FileNotFoundError:
            return []

    def _instance(self, name: str) -> Instance:
        """A directory without a record is one that a start did not get beyond: an instance that is not alive."""
        record = read_record(self._root / name)
        if record is None:
            return Instance(name, "", "", 0.0, alive=False, detail="it was not started to the end")
        alive = record.process.find() is not None
        detail = "" if alive else self._ended(name)
        return Instance(name, record.pool, record.image, record.created_at, alive, detail, record.content)

    def _ended(self, name: str) -> str:
        child = self._children.get(name)
        if child is None or child.returncode is None:
            return "its process is gone"
        return f"exit code {child.returncode}" if child.returncode >= 0 else f"signal {-child.returncode}"


def _remove(place: Path) -> None:
    while place.exists():
        try:
            shutil.rmtree(place)
        except FileNotFoundError:
            # Whoever else is ending this sandbox, such as `purge` beside an agent, was faster with a part of it.
            continue
