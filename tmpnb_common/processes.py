"""Local processes: which one it is, whether it lives, and how to end it with everything it started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


class StillRunningError(Exception):
    """Processes cannot be ended; the message says why."""


GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
LOOK_SECONDS = 0.05
"""Between two looks at what was killed. Init is not waited for: some reap the dead only every few seconds."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process number alone is used again by others; with the time of its start it is not."""

    pid: int
    started: str
    """As `start_of` says it."""

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has this number now.

        Raises:
            psutil.NoSuchProcess: there is none.
        """
        started = start_of(pid)
        if not started:
            raise psutil.NoSuchProcess(pid)
        return cls(pid, started)

    def find(self) -> psutil.Process | None:
        """The process, while it lives; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            if start_of(self.pid) != self.started or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except GONE:
            return None
        return process


def start_of(pid: int, proc: Path = Path("/proc")) -> str:
    """When a process started: the host's boot, and the clock ticks since then; empty where there is none.

    Not a time of day: psutil computes that from the host's clock, and it moves as often as somebody sets that.
    """
    fields = _fields(pid, proc)
    return f"{(proc / 'sys/kernel/random/boot_id').read_text().strip()}/{fields[19]}" if fields else ""


def terminal_processes(root: psutil.Process) -> Iterator[TerminalProcess]:
    """A process and its descendants, as job control sees them."""
    for process in (root, *_children(root)):
        if fields := _fields(process.pid, Path("/proc")):
            yield TerminalProcess(process.pid, int(fields[2]), int(fields[3]), int(fields[5]))


def _fields(pid: int, proc: Path) -> list[str]:
    """What the kernel says of a process, from the third field on; empty where there is no such process.

    The first two are its number and its name, which may hold anything.
    """
    try:
        return (proc / f"{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def end_tree(root: ProcessId, belongs: Callable[[psutil.Process], bool], *, within: float) -> None:
    """Kill a process, its descendants, and whatever else `belongs` to it, such as orphans of its kernels.

    Raises:
        StillRunningError: something of it still lives after `within` seconds; it may fork faster than it is killed.
    """
    deadline = time.monotonic() + within
    while found := list(_tree(root, belongs)):
        if time.monotonic() > deadline:
            raise StillRunningError(f"the processes of process {root.pid} do not end")
        for process in found:
            try:
                process.kill()
            except GONE:
                continue
            except psutil.AccessDenied as error:
                raise StillRunningError(f"process {process.pid} may not be ended: it runs as another user") from error
        psutil.wait_procs(found, timeout=LOOK_SECONDS)


def tree_usage(root: psutil.Process) -> tuple[int, float]:
    """Bytes and processor seconds that a process and its descendants use, with those that ended and were waited for.

    Memory that they share with others counts in parts.
    """
    memory, seconds = 0, 0.0
    for process in (root, *_children(root)):
        try:
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_full_info().pss
        except (*GONE, psutil.AccessDenied):
            continue
    return memory, seconds


def _tree(root: ProcessId, belongs: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    seen = set()
    if process := root.find():
        seen.add(process.pid)
        yield process
        for child in _children(process):
            seen.add(child.pid)
            yield child
    for other in psutil.process_iter():
        try:
            if other.pid not in seen and belongs(other) and other.status() != psutil.STATUS_ZOMBIE:
                yield other
        except (*GONE, psutil.AccessDenied):
            continue


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in process.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    except GONE:
        return []


@dataclass(frozen=True, slots=True)
class TerminalProcess:
    """One process as job control sees it: numbers of processes, groups and sessions."""

    pid: int
    group: int
    session: int
    foreground: int
    """The group that is in the foreground of its terminal; -1: it has none."""


def runs_program(processes: Iterable[TerminalProcess]) -> bool:
    """Whether somebody has started a program in a terminal that is not done yet.

    The leader of a terminal's session is its shell. While it waits for a line it is in the foreground itself.
    """
    return any(each.pid == each.session and each.foreground > 0 and each.foreground != each.group for each in processes)
