"""Runs nginx in the foreground with the configuration that the agent renders, and follows its changes.

Agent and proxy share only the run directory: either can be restarted or upgraded without the other.
"""

from __future__ import annotations

import errno
import logging
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO

from node_agent.directories import RunDirectory
from node_agent.errors import HostError
from node_agent.proxy.listeners import NO_LISTENERS, Listeners
from node_agent.proxy.nginx_program import assert_runs, die_with_parent, end_process, mark_of, pipe_to_stdout
from node_agent.settings.table import environment
from tmpnb_common import host

log = logging.getLogger("proxy")

LOOK_SECONDS = 0.5
"""How often to look for a new configuration, and whether nginx still runs."""

PORT_SECONDS = 3.0
"""How long to wait for a port that the last proxy may just be leaving."""


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
        with pipe_to_stdout() as access_log:
            master = self._start(self._config, access_log)
            try:
                self._watch(master)
            finally:
                end_process(master)

    def _start(self, config: Path, access_log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv(config),
            stdout=access_log,
            env={**environment(), **self._listeners.environment()},
            pass_fds=self._listeners.descriptors,
            # A group of its own, by which workers are found whose master was killed.
            process_group=0,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads yet
        )

    def _argv(self, config: Path, *more: str) -> list[str]:
        # -e: not the log file that the package was built with, which is not ours to write.
        return [self._nginx, "-e", "stderr", "-p", f"{self._run.nginx}/", "-c", str(config), *more]

    def _inputs(self) -> tuple[object, ...]:
        """What nginx was started from, to see a change by.

        A renewed certificate is another file, or the same with another time.
        """
        return (self._config.read_text(encoding="utf-8"), *(mark_of(path) for path in self._certificate))

    def _await_certificate(self) -> None:
        """Serve what a certificate authority asks for until there is a certificate."""
        if all(mark_of(path) for path in self._certificate):
            return
        log.info("waiting for the certificate %s", self._certificate[0])
        master = None
        if self._until_certified:
            config = self._run.config_until_certified
            config.write_text(self._until_certified, encoding="utf-8")
            master = self._start(config)
        try:
            while not all(mark_of(path) for path in self._certificate) and not self._stop.wait(LOOK_SECONDS):
                if master is not None:
                    assert_runs(master)
        finally:
            if master is not None:
                end_process(master)

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
            assert_runs(master)
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
