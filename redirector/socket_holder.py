"""Keeps the server's addresses open over its death: a parent that holds the sockets and starts another server.

What systemd does with its socket unit, for where there is no systemd, as in a container. The server is forked from a
process that has loaded everything already; a visitor who comes meanwhile waits in the kernel's queue of the sockets.

Invariant: the parent does nothing that could fail, so it outlives what it starts. A server that ends by itself, told to
or not, ends the parent with its status: starting it again would mend nothing.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Sequence

log = logging.getLogger("socket_holder")

PASSED_ON = frozenset(
    {
        *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT),
        *(signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH),
    }
)
"""What gunicorn's master understands. Not USR2, by which it would replace itself."""

ENDS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

PAUSE_SECONDS = 1.0
"""From one start to the next, for a server that is killed again and again."""

LONGEST_PAUSE_SECONDS = 30.0
"""Between starts of what ends again and again beside the server."""

END_SECONDS = 5.0

PR_SET_PDEATHSIG = 1


def serve_in_a_child() -> int | None:
    """Fork the process that serves, and others after it whenever one is killed.

    Returns:
        None in each of these processes, which goes on and serves; the exit status in the parent, once it is time to
        end.
    """
    heard = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    parent = os.getpid()
    ending = False
    while True:
        started = time.monotonic()
        child = os.fork()
        if not child:
            _die_with(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return None
        while (status := _ended(child)) is None:
            number = signal.sigwait(heard)
            if number in PASSED_ON:
                ending = ending or number in ENDS
                os.kill(child, number)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0 or ending:
            return code if code >= 0 else 128 - code
        log.error("the server was killed by signal %d; another one starts", -code)
        if signal.sigtimedwait(ENDS, max(0.0, started + PAUSE_SECONDS - time.monotonic())):
            return 0


def _ended(child: int) -> int | None:
    """The child's status if it has ended. Whatever else has, such as a former child's workers, is reaped on the way."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid in (0, child):
            return status if pid else None


def keep_beside(argv: Sequence[str], name: str) -> None:
    """Run a program in a process of its own, and again whenever that ends, until this process ends.

    A second process keeps watch and does nothing else. Call this before any thread is started: both are forked.
    """
    parent = os.getpid()
    if os.fork():
        return
    _die_with(parent)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *ENDS})
    # Ctrl-C and HUP of a terminal or a reload are meant for the server.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch, pause = os.getpid(), PAUSE_SECONDS
    while True:
        started = time.monotonic()
        child = os.fork()
        if not child:
            _become(argv, watch)
        while (status := _ended(child)) is None:
            if signal.sigwait({signal.SIGCHLD, *ENDS}) in ENDS:
                os.kill(child, signal.SIGTERM)
                _await(child)
                os._exit(0)
        log.error("the %s ended (%d); another one starts", name, os.waitstatus_to_exitcode(status))
        pause = PAUSE_SECONDS if time.monotonic() - started > LONGEST_PAUSE_SECONDS else pause * 2
        if signal.sigtimedwait(ENDS, min(pause, LONGEST_PAUSE_SECONDS)):
            os._exit(0)


def _become(argv: Sequence[str], watch: int) -> None:
    """In the process that runs the program."""
    _die_with(watch)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, *ENDS})
    try:
        os.execv(argv[0], list(argv))  # noqa: S606 - no shell is wanted
    finally:
        os._exit(127)


def _await(child: int) -> None:
    """Wait for a process that was told to end, and have it killed if it does not."""
    deadline = time.monotonic() + END_SECONDS
    while _ended(child) is None:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends: nobody else knows of it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
