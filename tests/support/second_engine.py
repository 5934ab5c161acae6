"""A Docker Engine of a test's own, with roots and sockets of its own, which may be killed and have its disk filled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import docker
import psutil
import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.docker.engine import SOCKET, DockerEngine
from tests.support.waiting import wait_until

START_SECONDS = 60.0


class SecondEngine:
    """dockerd with its containerd, both below one directory."""

    def __init__(self, root: Path, *, live_restore: bool) -> None:
        self.root = root
        self.socket = root / "docker.sock"
        self.data = root / "data"
        self._containerd_pid = root / "exec/containerd/containerd.pid"
        self._options = ["--live-restore"] if live_restore else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.root / "docker.pid").unlink(missing_ok=True)
        self._forget_dead_containerd()
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    f"--host=unix://{self.socket}",
                    f"--data-root={self.data}",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/docker.pid",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip-forward=false",
                    *self._options,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers, START_SECONDS, f"the second engine; see {self.root}/log")

    def _forget_dead_containerd(self) -> None:
        """One that ended with its dockerd stays a zombie where nobody reaps it, and the next dockerd waits for it."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            if psutil.Process(int(self._containerd_pid.read_text())).status() == psutil.STATUS_ZOMBIE:
                self._containerd_pid.unlink()

    def answers(self) -> bool:
        engine = DockerEngine(self.socket)
        try:
            engine.ping()
        except EngineError:
            return False
        finally:
            engine.close()
        return True

    def kill(self) -> None:
        """SIGKILL for dockerd alone: its containerd and the containers are left as they are."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def load(self, image: str) -> None:
        """Take an image over from this machine's engine."""
        theirs = docker.APIClient(f"unix://{SOCKET}", version="auto", timeout=120)
        ours = docker.APIClient(f"unix://{self.socket}", version="auto", timeout=120)
        try:
            with tempfile.TemporaryFile(dir=self.root) as spool:
                for chunk in theirs.get_image(image):
                    spool.write(chunk)
                spool.seek(0)
                ours.load_image(spool)  # type: ignore[no-untyped-call]  # the SDK has no types for it
        finally:
            theirs.close()
            ours.close()

    def stop(self) -> None:
        """End the containers, dockerd and its containerd."""
        if self._process is None:
            return
        if self._process.poll() is not None:
            self.start()
        engine = DockerEngine(self.socket)
        for container in engine.containers([]):
            engine.remove(container["Id"])
        engine.close()
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        # Of a dockerd that was killed, the containerd stays with its successor, or alone.
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(self._containerd_pid.read_text()), signal.SIGTERM)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of its own that is soon full."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def second_engine(*, live_restore: bool = False, disk: str = "") -> Iterator[SecondEngine]:
    """An engine; `disk` is the size of its data root, such as 1g, if that is to be small."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        reason = "a second Docker Engine needs dockerd, and root to run it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="engine", dir="/var/tmp", ignore_cleanup_errors=True) as root:
        engine = SecondEngine(Path(root), live_restore=live_restore)
        with small_disk(engine.data, disk) if disk else nullcontext():
            try:
                engine.start()
                yield engine
            finally:
                engine.stop()
