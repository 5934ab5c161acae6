"""Tasks that run in threads, one a sandbox."""

from __future__ import annotations

import logging
from concurrent.futures import Future

log = logging.getLogger("lifecycle")


def settle(tasks: dict[str, Future[None]]) -> list[str]:
    """Drop the tasks that are done; return the names of those that failed in an unforeseen way, which is logged.

    Invariant: no sandbox's task ends the loop, since what it stumbled over may be that sandbox's own doing.
    """
    done = {name: tasks.pop(name).exception() for name in [name for name, task in tasks.items() if task.done()]}
    failed = {name: error for name, error in done.items() if error is not None}
    for name, error in failed.items():
        log.error("a task failed in an unforeseen way, sandbox=%s", name, exc_info=error)
    return list(failed)
