"""The processes of one fleet on this machine, found even after whoever started them was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from redirector.local_fleet.directory import write_durably
from redirector.local_fleet.plan import MARK
from tmpnb_common.processes import start_of


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """A process that was started, leading a session of its own."""

    name: str
    pid: int
    started: str
    """As `processes.start_of` says it."""


def write_records(path: Path, records: Iterable[ChildRecord]) -> None:
    write_durably(path, json.dumps([asdict(record) for record in records]) + "\n")


def read_records(path: Path) -> list[ChildRecord]:
    """What was written; nothing if it is not there or not ours, since the mark finds the processes as well."""
    try:
        return [
            ChildRecord(str(raw["name"]), int(raw["pid"]), str(raw["started"])) for raw in json.loads(path.read_text())
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


class ProcessFinder:
    """Tells a fleet's living processes from all others.

    One belongs to the fleet if it carries the fleet's mark, is at home in one of its sandboxes, is a recorded child,
    is in the session of one that belongs, or names the fleet's run directory and has no terminal. The last two find
    nginx, which writes its title over its environment.
    """

    def __init__(self, state: Path, run_root: Path) -> None:
        self._state = str(state)
        self._homes = f"{state}/nodes/"
        self._run_root = f"{run_root}/"

    def living(self, records: Iterable[ChildRecord] = ()) -> list[psutil.Process]:
        recorded = {record.pid: record.started for record in records}
        kin = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        candidates = [process for process in psutil.process_iter() if process.pid not in kin and is_alive(process)]
        owned = {process.pid for process in candidates if self._owns(process, recorded)}
        leaders = owned | {pid for pid in recorded if _number_is_still_its(pid, recorded[pid])}
        leaders -= {_session(pid) for pid in kin}
        return [process for process in candidates if process.pid in owned or _session(process.pid) in leaders]

    def _owns(self, process: psutil.Process, recorded: dict[int, str]) -> bool:
        try:
            if process.pid in recorded and start_of(process.pid) == recorded[process.pid]:
                return True
            environ = _environ(process)
            if environ.get(MARK) == self._state or environ.get("HOME", "").startswith(self._homes):
                return True
            return self._run_root in " ".join(process.cmdline()) and process.terminal() is None
        except psutil.Error:
            return False


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return {}


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _number_is_still_its(pid: int, started: str) -> bool:
    """Whether a session of this number must be the recorded child's: its leader is gone, or is that child itself."""
    return start_of(pid) in ("", started)
