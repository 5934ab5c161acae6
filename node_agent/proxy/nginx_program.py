"""nginx as a program: where it is, how it is started beside us, told to end, and listened to."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from node_agent.errors import HostError
from tmpnb_common import host

log = logging.getLogger("proxy")

QUIT_SECONDS = 1.0
"""How long open requests may go on after TERM: enough for what a page asks, and the node is away as long. Websockets
never end by themselves; browsers open them again."""

END_SECONDS = 5.0
"""How long an nginx that was told to end at once may take, and its log's reader after it."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


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
def pipe_to_stdout() -> Iterator[IO[bytes]]:
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


def mark_of(path: Path) -> tuple[int, int, int] | None:
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


def assert_runs(master: subprocess.Popen[bytes]) -> None:
    """See that nginx still runs.

    Raises:
        HostError: it has ended.
    """
    if (status := master.poll()) is not None:
        raise HostError(f"nginx ended by itself with status {status}; what it said stands above")


def end_process(master: subprocess.Popen[bytes]) -> None:
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


def die_with_parent() -> None:
    """A killed proxy takes its nginx along, or that would hold the port against the next one."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
