"""The limit on open files of this process and its children: raised as far as the host allows, or complained about."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger("proxy")

OWN = 256
"""Of an agent or an nginx at rest with room to spare: threads, sockets of callers, the engine, pages."""
CHECKED = 2
"""Of each sandbox in the agent, at most at once: it is asked for its activity, or its landing page."""
VISITED = 18
"""Of each visitor in nginx: the websockets of a notebook, a terminal and JupyterLab's events, and the six requests that
a browser makes at once over HTTP/1.1, each with a file on either side."""

NGINX = 65536
"""What nginx gets where it needs no more: about as much as distributions give to servers."""


def of_agent(capacity: int) -> int:
    """How many files an agent may need at once."""
    return OWN + CHECKED * capacity


def of_nginx(capacity: int) -> int:
    """How many files one worker of nginx may need at once: nothing keeps visitors from all coming to the same one."""
    return OWN + VISITED * capacity


def raised(soft: int, hard: int, wish: int) -> int:
    """The soft limit to set."""
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wish:
        return soft
    return wish if hard == unlimited else min(wish, hard)


def allowed(wish: int) -> int:
    """As many of these as this host lets a process have."""
    return raised(0, resource.getrlimit(resource.RLIMIT_NOFILE)[1], wish)


def raise_limit(capacity: int, need: int, wish: int = 0) -> None:
    """Let this process and its children open `wish` files, or `need` if that is more; warn where those are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = raised(soft, hard, max(need, wish))
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted != resource.RLIM_INFINITY and wanted < need:
        log.warning(
            "this host allows %d open files, and %d sandboxes may need %d: raise LimitNOFILE of the service, "
            "or --ulimit nofile of the container",
            hard,
            capacity,
            need,
        )
