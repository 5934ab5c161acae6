"""The limit on open files of this process: raised as far as the host allows, complained about where that is too low."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

OWN = 256
"""Of an agent at rest with room to spare: threads, sockets of callers, the engine."""
EACH = 2
"""Of each sandbox at most at once: it is asked for its activity, or its landing page."""


def needed(capacity: int) -> int:
    return OWN + EACH * capacity


def raised(soft: int, hard: int, need: int) -> tuple[int, bool]:
    """The soft limit to set, and whether that is enough."""
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= need:
        return soft, True
    if hard == unlimited or hard >= need:
        return need, True
    return hard, False


def raise_limit(capacity: int) -> None:
    """Make sure that so many sandboxes do not exhaust the files that this process may open, or warn."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = needed(capacity)
    wanted, enough = raised(soft, hard, need)
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if not enough:
        log.warning(
            "this host allows %d open files, and %d sandboxes may need %d: raise LimitNOFILE of the service, "
            "or --ulimit nofile of the container",
            hard,
            capacity,
            need,
        )
