"""Bring the fleet's registry in line with the nodes that run here, keeping what operators decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from redirector.admin_api.views import NodeView
from redirector.local_fleet.plan import HOST


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a node out of the registry that does not run here any more."""

    name: str


@dataclass(frozen=True, slots=True)
class Register:
    """Put a node in, or prove its token to the fleet again if it is there."""

    name: str
    known_as: str
    """What the fleet calls it: operators may have given it another name."""
    drain: str | None = None
    """The reason why it was draining at its former address; None if it was not."""


Step = Remove | Register


def steps(running: Mapping[str, str], ever_ran: Collection[str], registered: Sequence[NodeView]) -> list[Step]:
    """What to do so that exactly the nodes that run on this machine are registered, with the tokens that they have now.

    Args:
        running: the URL of each node that runs now, by name.
        ever_ran: names of all nodes that ever ran here.
        registered: the registry; nodes that an operator added from elsewhere are left alone.
    """
    ours = {node.name: node for node in registered if node.name in ever_ran and node.url.startswith(f"http://{HOST}:")}
    gone = [name for name, node in ours.items() if running.get(name) != node.url]
    names = {node.url: node.name for node in registered if node.name not in gone}
    reasons = {name: ours[name].intent_reason for name in gone if ours[name].intent == "draining"}
    return [
        *(Remove(name) for name in gone),
        *(Register(name, names.get(url, name), reasons.get(name)) for name, url in running.items()),
    ]


@dataclass(frozen=True, slots=True)
class Warmth:
    """How far the pools have come, in sandboxes."""

    ready: int
    wanted: int
    problem: str = ""
    """Why sandboxes do not start, or what is wrong with a node, for one of them."""

    @property
    def complete(self) -> bool:
        return self.ready >= self.wanted


def warmth(nodes: Sequence[NodeView], urls: Collection[str], warm: int, run_seconds: float) -> Warmth:
    """Of the nodes at `urls`, each of which shall keep `warm` ready. Draining nodes offer nothing and are complete.

    What the fleet remembers from before this run, which has lasted `run_seconds`, does not count.
    """
    awaited = [node for node in nodes if node.url in urls and node.intent == "active"]
    absent = len(urls) - sum(node.url in urls for node in nodes)
    heard = [node for node in awaited if node.stats_age_seconds is not None and node.stats_age_seconds < run_seconds]
    problems = [pool.problem for node in heard for pool in node.pools.values() if pool.problem]
    problems += [f"{node.name}: {node.reason}" for node in awaited if node.health in ("suspect", "down")]
    return Warmth(
        ready=sum(min(warm, node.available + node.claimed) for node in heard),
        wanted=warm * (len(awaited) + absent),
        problem=problems[0] if problems else "",
    )
