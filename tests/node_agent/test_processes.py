from __future__ import annotations

import subprocess
import sys

import psutil

from node_agent.processes import ProcessId, end_tree

CARELESS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
"""
"""A parent that does not reap its child before it is told to end."""


def test_the_dead_are_not_waited_for_until_somebody_reaps_them() -> None:
    parent = subprocess.Popen([sys.executable, "-c", CARELESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        # Whoever waited all that time would run into the time limit of the test.
        end_tree(ProcessId.of(child), lambda _process: False, within=3600)
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE
