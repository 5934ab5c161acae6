"""Runs nginx in the foreground with the configuration that the agent renders, and follows its changes.

Agent and proxy share only the run directory: either can be restarted or upgraded without the other.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from node_agent.directories import RunDirectory
from node_agent.errors import HostError
from node_agent.proxy.listeners import NO_LISTENERS, Listeners
from node_agent.settings.table import environment
from tmpnb_common import host

log = logging.getLogger("proxy")

LOOK_SECONDS = 0.5
"""How often to look for a new configuration, and whether nginx still runs."""

QUIT_SECONDS = 1.0
"""How long open requests may go on after TERM: enough for what a page asks, and the node is away as long. Websockets
never end by themselves; browsers open them again."""

END_SECONDS = 5.0
"""How long an nginx that was told to end at once may take, and its log's reader after it."""

PORT_SECONDS = 3.0
"""How long to wait for a port that the last proxy may just be leaving."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Proxy:
    """One nginx and whoever watches it."""

    def __init__(
        self,
        nginx: str,
        run_dir: Path,
        listen: tuple[str, int],
        stop: threading.Event,
        *,
        certificate: tuple[Path, ...] = (),
        until_certified: str = "",
        listeners: Listeners = NO_LISTENERS,
    ) -> None:
        """A proxy that is not running yet.

        Args:
            nginx: the program.
            run_dir: what it shares with the agent.
            listen: host and port, to say in words why listening there fails.
            stop: ends it.
            certificate: files without which it cannot serve, and whose change makes nginx read them again.
            until_certified: nginx's configuration until they are there; empty: it waits without serving.
            listeners: sockets that listen already and outlive this process.
        """
        self._nginx = nginx
        self._run = RunDirectory(run_dir)
        self._config = self._run.nginx_config
        self._listen = listen
        self._stop = stop
        self._certificate = certificate
        self._until_certified = until_certified
        self._listeners = listeners
        self._current: tuple[object, ...] = ()

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            HostError: nginx cannot start, or ended by itself.
        """
        if not self._await_config():
            return
        self._run.nginx.mkdir(exist_ok=True)
        self._await_certificate()
        if self._stop.is_set():
            return
        self._current = self._inputs()
        self._await_port()
        with _pipe_to_stdout() as access_log:
            master = self._start(self._config, access_log)
            try:
                self._watch(master)
            finally:
                _end(master)

    def _start(self, config: Path, access_log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv(config),
            stdout=access_log,
            env={**environment(), **self._listeners.environment()},
            pass_fds=self._listeners.descriptors,
            # A group of its own, by which workers are found whose master was killed.
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads yet
        )

    def _argv(self, config: Path, *more: str) -> list[str]:
        # -e: not the log file that the package was built with, which is not ours to write.
        return [self._nginx, "-e", "stderr", "-p", f"{self._run.nginx}/", "-c", str(config), *more]

    def _inputs(self) -> tuple[object, ...]:
        """What nginx was started from, to see a change by.

        A renewed certificate is another file, or the same with another time.
        """
        return (self._config.read_text(encoding="utf-8"), *(_mark(path) for path in self._certificate))

    def _await_certificate(self) -> None:
        """Serve what a certificate authority asks for until there is a certificate."""
        if all(_mark(path) for path in self._certificate):
            return
        log.info("waiting for the certificate %s", self._certificate[0])
        master = None
        if self._until_certified:
            config = self._run.config_until_certified
            config.write_text(self._until_certified, encoding="utf-8")
            master = self._start(config)
        try:
            while not all(_mark(path) for path in self._certificate) and not self._stop.wait(LOOK_SECONDS):
                if master is not None:
                    _assert_runs(master)
        finally:
            if master is not None:
                _end(master)

    def _await_config(self) -> bool:
        said = False
        while not self._config.exists():
            if not said:
                log.info("waiting for the agent to write %s", self._config)
                said = True
            if self._stop.wait(LOOK_SECONDS):
                return False
        return not self._stop.is_set()

    def _await_port(self) -> None:
        """Say in words what nginx would say in its own, and before it starts."""
        if self._listeners.include(*self._listen):
            return
        for attempt in range(int(PORT_SECONDS / LOOK_SECONDS) + 1):
            problem = host.port_problem(*self._listen)
            if problem != errno.EADDRINUSE or self._stop.is_set():
                break
            if attempt == 0:
                log.info("waiting for port %d to become free", self._listen[1])
            self._stop.wait(LOOK_SECONDS)
        address, port = self._listen
        match problem:
            case 0:
                return
            case errno.EADDRINUSE:
                raise HostError(f"port {port} on {address} is taken by another program")
            case errno.EACCES:
                raise HostError(f"this user may not listen on port {port}: choose one above 1023, or start as root")
            case _:
                raise HostError(f"cannot listen on {address} port {port}: {errno.errorcode.get(problem, problem)}")

    def _watch(self, master: subprocess.Popen[bytes]) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            _assert_runs(master)
            self._follow(master)

    def _follow(self, master: subprocess.Popen[bytes]) -> None:
        """Reload a changed configuration, after nginx itself has approved of it. Open connections go on."""
        try:
            fresh = self._inputs()
        except FileNotFoundError:
            # `purge` removes it; the next agent writes it again.
            return
        if fresh == self._current:
            return
        self._current = fresh
        if subprocess.run(self._argv(self._config, "-t", "-q"), check=False).returncode:
            log.error("the new configuration is unsound; the old one stays in use")
            return
        master.send_signal(signal.SIGHUP)
        log.info("configuration or certificate changed, nginx reloads it")


def find_nginx() -> str:
    """Where nginx is.

    Raises:
        HostError: nowhere.
    """
    nginx = host.find_nginx()
    if nginx is None:
        raise HostError("nginx is not installed. On Debian and Ubuntu: apt-get install nginx-light")
    return nginx


@contextmanager
def _pipe_to_stdout() -> Iterator[IO[bytes]]:
    """Something that nginx can open as /dev/stdout: a pipe can be, journald's socket and another user's file cannot."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, process_group=0) as cat:
        assert cat.stdin is not None
        try:
            with cat.stdin as pipe:
                yield pipe
            cat.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("the access log's reader does not end, its last lines are lost")
        finally:
            # Whatever else still holds the other end must not keep this process.
            cat.kill()


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None while it is not there.

    Raises:
        HostError: it may not be looked at.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"the certificate's file {path} cannot be used: {error.strerror}") from error
    return status.st_ino, status.st_mtime_ns, status.st_size


def _assert_runs(master: subprocess.Popen[bytes]) -> None:
    if (status := master.poll()) is not None:
        raise HostError(f"nginx ended by itself with status {status}; what it said stands above")


def _end(master: subprocess.Popen[bytes]) -> None:
    """Ask the master politely, then less so, and end what it leaves: workers live on when their master is killed."""
    for ask, patience in ((signal.SIGQUIT, QUIT_SECONDS), (signal.SIGTERM, END_SECONDS)):
        if master.poll() is not None:
            break
        master.send_signal(ask)
        try:
            master.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError):
        os.killpg(master.pid, signal.SIGKILL)
    master.wait()


def _die_with_parent() -> None:
    """A killed proxy takes its nginx along, or that would hold the port against the next one."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
