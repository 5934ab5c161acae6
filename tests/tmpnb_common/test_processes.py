from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.waiting import wait_until
from tmpnb_common.processes import ProcessId, end_tree, runs_program, start_of, terminal_processes

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


def test_a_process_is_known_by_its_ticks_since_the_boot_whatever_the_hosts_clock_says(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("a-boot\n")
    (tmp_path / "12" / "stat").write_text("12 (a ) (b) S " + " ".join(str(field) for field in range(4, 53)))
    assert start_of(12, tmp_path) == "a-boot/22"
    assert start_of(13, tmp_path) == ""


def test_a_process_that_took_over_a_number_is_another_one() -> None:
    own = ProcessId.of(os.getpid())
    assert own.find() is not None
    boot, _, ticks = own.started.partition("/")
    assert ProcessId(own.pid, f"{boot}/{int(ticks) + 1}").find() is None
    assert ProcessId(own.pid, f"an-earlier-boot/{ticks}").find() is None


def test_a_program_in_a_terminal_is_seen_until_it_is_done(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "--norc", "-i"])
    try:
        shell = psutil.Process(pid)
        # A shell that has printed its prompt has taken its terminal.
        os.read(terminal, 1000)
        wait_until(lambda: not runs_program(terminal_processes(shell)), 20, "the prompt")
        os.write(terminal, f"until [ -e {tmp_path}/done ]; do sleep 0.05; done\n".encode())
        wait_until(lambda: runs_program(terminal_processes(shell)), 20, "the program")
        (tmp_path / "done").touch()
        wait_until(lambda: not runs_program(terminal_processes(shell)), 20, "its end")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
