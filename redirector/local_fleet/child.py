"""One supervised process: started, watched, started again with growing patience, ended with its whole session."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from redirector.local_fleet.plan import ChildPlan
from redirector.local_fleet.processes import ChildRecord
from tmpnb_common.processes import start_of

FIRST_PATIENCE_SECONDS = 0.2
LONGEST_PATIENCE_SECONDS = 30.0
SETTLED_SECONDS = 30.0
"""Whatever has run this long was not failing to start."""
LOG_LIMIT = 20 * 2**20
"""Bytes; one older log of that size is kept."""


def patience(deaths: int) -> float:
    """Seconds to wait before starting again something that has died `deaths` times in a row."""
    return min(LONGEST_PATIENCE_SECONDS, FIRST_PATIENCE_SECONDS * 2.0 ** min(deaths - 1, 16))


def in_words(returncode: int) -> str:
    """How a process ended."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


class Child:
    """Leads a session of its own, so that a Ctrl-C at the terminal reaches only whoever supervises it."""

    def __init__(self, plan: ChildPlan, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.deaths = 0
        """In a row, without having settled in between."""
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._record: ChildRecord | None = None
        self._changed_at = 0.0
        """When it was started, or found dead."""

    @property
    def record(self) -> ChildRecord | None:
        return self._record

    def start(self) -> None:
        self._process = launch(self.plan)
        self._record = ChildRecord(self.plan.name, self._process.pid, start_of(self._process.pid))
        self._changed_at = self._clock()

    def poll_death(self) -> str | None:
        """How it ended, told once for each death; what it left of its session ends then, too."""
        if self._process is None or self.is_running:
            return None
        how = in_words(self._end_session(self._process))
        if self._clock() - self._changed_at > SETTLED_SECONDS:
            self.deaths = 0
        self.deaths += 1
        self._process = None
        self._changed_at = self._clock()
        return how

    @property
    def is_due(self) -> bool:
        """Whether it is time to start it again."""
        return self._process is None and self._clock() - self._changed_at >= patience(self.deaths)

    @property
    def is_running(self) -> bool:
        if self._process is None:
            return False
        # Looked at and not reaped: until its session has been ended, its number must not go to another process.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def ask_to_end(self) -> None:
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> None:
        """End it and all that is left of its session."""
        if self._process is not None:
            self._end_session(self._process)
            self._process = None

    @staticmethod
    def _end_session(process: subprocess.Popen[bytes]) -> int:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def last_words(self, lines: int = 10) -> list[str]:
        try:
            with self.plan.log.open(errors="replace") as log:
                return [line.rstrip("\n") for line in deque(log, lines)]
        except OSError:
            return []


def launch(plan: ChildPlan) -> subprocess.Popen[bytes]:
    """Start a process with its output in its log, in a session of its own."""
    try:
        log = plan.log.open("ab")
    except OSError:
        # Somebody has taken the logs away; that must not keep anything from being ended.
        log = Path(os.devnull).open("ab")  # noqa: SIM115 - closed below, like the other
    with log:
        return subprocess.Popen(
            plan.argv,
            env=dict(plan.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def begin_log(path: Path) -> None:
    """Each run has logs of its own; those of the run before are kept beside them."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))


def bound_log(path: Path) -> None:
    """Keep a growing log within bounds. Its writer appends, so it goes on at the new end by itself."""
    try:
        if path.stat().st_size > LOG_LIMIT:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except FileNotFoundError:
        return
