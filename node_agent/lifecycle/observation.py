"""What was there at one moment, and what that makes of a sandbox that a former agent left: plain values."""

from __future__ import annotations

from dataclasses import dataclass

from node_agent.pools.culling import Limits
from node_agent.pools.directory_state import DirectoryState
from node_agent.runtimes.contract import Instance
from node_agent.sandboxes import Sandbox, State


@dataclass(frozen=True, slots=True)
class Observation:
    """What was there at one moment. `known` was noted first, so all of it has had its chance to show."""

    known: tuple[Sandbox, ...]
    instances: dict[str, Instance]
    directory_states: dict[str, DirectoryState]


def adopted(key: str, instance: Instance, standing: DirectoryState, limits: Limits, now: float) -> Sandbox:
    """What a sandbox that was found running is: a claimed one lies there, a sealed one has proven itself.

    Nobody knows what went on in a session while no agent was there, so its idle time begins anew. A former agent has
    seen the visitor of one that is older than any unvisited one gets.
    """
    claimed_at = standing.claimed_at
    state: State = "claimed" if claimed_at is not None else "ready" if standing.sealed else "starting"
    visited = claimed_at is not None and (standing.visited or now - claimed_at >= limits.unvisited)
    last = now if visited else None
    return Sandbox(
        key,
        instance.pool,
        instance.image,
        state,
        instance.created_at,
        claimed_at,
        visited,
        last,
        content=instance.content,
        wanted=standing.wanted,
        filled=standing.filled,
        embedded=claimed_at is not None and standing.embedded,
        page_seen=last,
    )
