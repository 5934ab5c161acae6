"""What this host has to be like before an agent or a proxy runs on it."""

from __future__ import annotations

import os
import pwd
import stat
import threading
import time

from node_agent import files
from node_agent.errors import HostError
from node_agent.pages import Pages
from node_agent.proxy import nginx, open_files
from node_agent.settings.table import NodeSettings
from tmpnb_common.file_lock import try_lock

LOOK_SECONDS = 0.1

CONNECTIONS = 8192
"""Of one worker of nginx, where no more are needed: they take 3 MB whether they are used or not."""


def make_run_dir(settings: NodeSettings) -> None:
    try:
        settings.run_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"the run directory cannot be used: {error}") from error


def take_run_dir(settings: NodeSettings, *, patience: float = 0.0) -> int:
    """Make the run directory this process's alone, and return the lock that says so, held until it is closed.

    Args:
        settings: say which directory.
        patience: seconds to wait for an agent that is about to end, such as the worker of one that was killed.

    Raises:
        HostError: it cannot be used, or an agent serves from it.
    """
    run_dir = settings.run_dir
    try:
        run_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(settings.run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"the run directory cannot be used: {error}") from error
    deadline = time.monotonic() + patience
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            raise HostError(f"another agent serves from {run_dir}")
        threading.Event().wait(LOOK_SECONDS)
    return descriptor


def open_to_nginx(settings: NodeSettings) -> None:
    """Let nginx's workers, and nobody else, into the run directory.

    Raises:
        HostError: there is no such user, or the way to the directory is closed to it.
    """
    if os.geteuid() != 0:
        settings.run_dir.chmod(0o750)
        return
    try:
        user = pwd.getpwnam(settings.proxy_user)
    except KeyError as error:
        raise HostError(f"there is no user {settings.proxy_user}: name nginx's own in TMPNB_NODE_PROXY_USER") from error
    os.chown(settings.run_dir, 0, user.pw_gid)
    settings.run_dir.chmod(0o750)
    for above in settings.run_dir.parents:
        status = above.stat()
        bit = (
            stat.S_IXUSR if status.st_uid == user.pw_uid
            else stat.S_IXGRP if status.st_gid == user.pw_gid
            else stat.S_IXOTH
        )  # fmt: skip
        if not status.st_mode & bit:
            raise HostError(
                f"nginx's workers run as {settings.proxy_user}, and that user may not pass {above}: "
                f"choose another TMPNB_NODE_RUN_DIR, such as /run/tmpnb"
            )


def write_proxy_config(settings: NodeSettings, *, least: int = CONNECTIONS) -> None:
    """What `tmpnb-agent proxy` serves with. Left alone when nothing changed, so that nginx reloads for a reason."""
    # More than there are files for would fail late, and worse: nginx gives up idle connections for new ones by itself.
    connections = open_files.allowed(max(least, open_files.of_nginx(settings.slots)))
    text = nginx.render(settings, as_root=os.geteuid() == 0, connections=connections)
    Pages(settings.entry_url, settings.templates_dir).write(settings.run.pages)
    files.write_text(settings.run.nginx_config, text)
