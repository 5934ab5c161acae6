"""A PostgreSQL cluster of the tests' own, on a free port of loopback, stopped and removed afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.support.base_ports import free_ports

PROGRAMS = Path("/usr/lib/postgresql")
USER = "postgres"
LOCKED_USER = "locked"
"""Who has to say a password; everyone else is let in without."""


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl are, of the newest version there is."""
    found = sorted(PROGRAMS.glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresCluster:
    """One server. PostgreSQL refuses to run as root, so it runs as Debian's user for it then."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self._directory = Path(tempfile.mkdtemp(prefix="tmpnb-pg-", dir="/tmp"))
        [self.port] = free_ports(1)
        if os.geteuid() == 0:
            shutil.chown(self._directory, USER)
        self._run("initdb", "-D", self._cluster, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        rules = Path(self._cluster) / "pg_hba.conf"
        rules.write_text(f"host all {LOCKED_USER} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.start()

    @property
    def _cluster(self) -> str:
        return str(self._directory / "cluster")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", self._cluster, "-l", str(self._directory / "log"), "-w", "-o", options, "start")

    def stop(self) -> None:
        """At once: connections break."""
        self._run("pg_ctl", "-D", self._cluster, "-w", "-m", "immediate", "stop")

    def hang(self) -> None:
        """As on a host whose storage hangs: the kernel still takes connections and what is sent over them."""
        for process in self._processes():
            process.suspend()

    def go_on(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((Path(self._cluster) / "postmaster.pid").read_text().splitlines()[0]))
        return [postmaster, *postmaster.children()]

    def runs(self) -> bool:
        return (Path(self._cluster) / "postmaster.pid").exists()

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, database)
        return self.url(database)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._directory)

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_user, str(self.programs / program), *arguments],
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {(done.stdout or b'').decode()}"


def need_postgres() -> Path:
    """Its programs; without them the test is skipped, or fails where nothing may be missing."""
    programs = postgres_programs()
    missing = None
    if programs is None:
        missing = "PostgreSQL's server programs are not installed"
    elif os.geteuid() == 0 and USER not in {entry.pw_name for entry in pwd.getpwall()}:
        missing = f"there is no user {USER} to run PostgreSQL as"
    if missing is None:
        assert programs is not None
        return programs
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
