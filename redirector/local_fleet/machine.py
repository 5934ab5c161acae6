"""What this machine has to offer before anything is started on it."""

from __future__ import annotations

import errno
import importlib.util
import os
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from redirector.local_fleet.errors import NotStartedError
from redirector.local_fleet.plan import HOST, NodePlan
from tmpnb_common.host import find_nginx, port_problem


def check_programs(programs: Path, environ: Mapping[str, str], *, runtime: str = "process") -> None:
    """Find everything that the fleet's processes will run.

    Raises:
        NotStartedError: something is missing; says how to get it.
    """
    for program in ("tmpnb", "tmpnb-agent"):
        if not os.access(programs / program, os.X_OK):
            raise NotStartedError(f"the program {program} is missing in {programs}; install tmpnb-fleet again")
    if not find_nginx(environ.get("PATH", "")):
        raise NotStartedError("nginx is missing; install it: sudo apt-get install nginx-light")
    if runtime == "process" and not importlib.util.find_spec("jupyterlab"):
        raise NotStartedError("JupyterLab is missing; install it: pip install 'tmpnb-fleet[sandbox]'")


def check_engine(node: NodePlan) -> None:
    """Let a node's own program ask the engine, and look for the image on it.

    Raises:
        NotStartedError: sandboxes cannot run as that node wants them; says why.
    """
    command = [node.agent.argv[0], "config", "check", "--engine"]
    check = subprocess.run(command, env=dict(node.agent.environ), capture_output=True, text=True, check=False)
    if check.returncode:
        raise NotStartedError(check.stderr.strip().removeprefix("tmpnb-agent: "))


def check_ports(ports: Iterable[int]) -> None:
    """Prove that each port can be listened on.

    Raises:
        NotStartedError: one cannot; says who has it, if that may be known.
    """
    for port in ports:
        if problem := port_problem(HOST, port):
            why = f"is in use{_holder(port)}" if problem == errno.EADDRINUSE else "may not be used"
            raise NotStartedError(f"port {port} {why}; choose others with --port")


def make_run_root(run_root: Path, uid: int) -> None:
    """Create the directory for sockets, or take over what an earlier run left.

    Raises:
        NotStartedError: it cannot be had, or somebody else made it.
    """
    # Workers of an nginx that was started by root are another user and have to pass through it.
    mode = 0o711 if uid == 0 else 0o700
    try:
        run_root.mkdir(mode=mode, exist_ok=True)
        status = run_root.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
            raise NotStartedError(f"{run_root} belongs to somebody else")
        run_root.chmod(mode)
    except OSError as problem:
        raise NotStartedError(f"{run_root} cannot be used for sockets: {problem.strerror}") from problem


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            try:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return ""
    return ""
