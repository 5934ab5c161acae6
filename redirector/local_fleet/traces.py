"""What a run of a local fleet leaves: processes, sandboxes, sockets; found, ended and removed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from redirector.local_fleet.child import launch
from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.plan import NodePlan
from redirector.local_fleet.processes import ProcessFinder, kill, read_records
from redirector.local_fleet.reporter import Reporter
from redirector.local_fleet.stop_request import StopRequest

PURGE_SECONDS = 30.0
SWEEP_SECONDS = 10.0
SWEEP_PAUSE_SECONDS = 0.05


class Traces:
    """The traces of runs from one state directory."""

    def __init__(
        self,
        directory: FleetDirectory,
        run_root: Path,
        reporter: Reporter,
        stop: StopRequest,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._run_root = run_root
        self._reporter = reporter
        self._stop = stop
        self._clock = clock
        self._finder = ProcessFinder(directory.root, run_root)

    def clear_leftovers(self, nodes: Sequence[NodePlan]) -> None:
        """End what a run that was killed has left of these nodes."""
        left = self._finder.living(read_records(self._directory.children))
        if left:
            self._reporter.note(f"ending {len(left)} processes that an earlier run left behind")
        if left or self._directory.children.exists() or self._run_root.exists():
            self.clear(nodes)

    def clear(self, nodes: Sequence[NodePlan]) -> None:
        """End whatever still runs, let the nodes forget it, and remove every trace of the run."""
        self._sweep()
        self._purge(nodes)
        self._sweep()
        shutil.rmtree(self._run_root, ignore_errors=True)
        self._directory.children.unlink(missing_ok=True)

    def _purge(self, nodes: Sequence[NodePlan]) -> None:
        """Let each node's own program clear away its sandboxes, all nodes at once."""
        purges = [(node.purge, launch(node.purge)) for node in nodes]
        deadline = self._clock() + PURGE_SECONDS
        for plan, process in purges:
            try:
                returncode = process.wait(max(0.1, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                process.kill()
                returncode = process.wait()
            if returncode != 0:
                self._reporter.warn(f"{plan.name} failed (see {plan.log}); ending its processes by force")

    def _sweep(self) -> None:
        """Kill until nothing is left: what is being killed may have started something meanwhile."""
        records = read_records(self._directory.children)
        deadline = self._clock() + SWEEP_SECONDS
        while left := self._finder.living(records):
            kill(left)
            if self._clock() > deadline:
                pids = ", ".join(str(process.pid) for process in left)
                self._reporter.warn(f"these processes cannot be ended: {pids}")
                return
            self._stop.wait(SWEEP_PAUSE_SECONDS)
