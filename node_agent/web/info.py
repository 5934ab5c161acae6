"""The node's own live page: every place of every pool as a square."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from node_agent.pages import script_path
from node_agent.web.node import NodeContext
from tmpnb_common.wire import PoolStats

STATES = ("ready", "claimed", "starting", "ending", "draining", "free")
"""In the order in which they are drawn, and the names of their colours."""

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One pool as the page shows it."""

    name: str
    image: str
    problem: str
    slots: dict[str, int]

    @property
    def words(self) -> str:
        return ", ".join(f"{count} {state}" for state, count in self.slots.items() if count)


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("info", __name__)

    @routes.get("/info")
    def info() -> Response:
        stats = node.stats()
        draining = stats.state == "draining"
        pools = [drawn(name, pool, draining=draining) for name, pool in stats.pools.items()]
        text = node.pages.render(
            "info",
            stats=stats,
            states=STATES,
            pools=pools,
            totals={state: sum(pool.slots[state] for pool in pools) for state in STATES},
            sentence="Draining: this node takes no new visitors."
            if draining
            else f"{stats.available} notebooks are ready for visitors; {stats.claimed} of {stats.capacity} are in use.",
            script=script_path("info"),
            stats_path="/stats",
        )
        return Response(text, mimetype="text/html", headers={"Content-Security-Policy": POLICY})

    return routes


def drawn(name: str, pool: PoolStats, *, draining: bool) -> Drawn:
    """While the node drains, what is not in use is on its way out rather than free."""
    ready = 0 if draining else pool.available
    left = max(0, pool.capacity - ready - pool.claimed - pool.starting - pool.ending)
    slots = {
        "ready": ready,
        "claimed": pool.claimed,
        "starting": pool.starting,
        "ending": pool.ending,
        "draining": left if draining else 0,
        "free": 0 if draining else left,
    }
    return Drawn(name, pool.image, pool.problem or pool.unfit, slots)
