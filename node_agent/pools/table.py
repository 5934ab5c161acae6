"""The table of sandboxes beneath the pools: by name, and counted by state."""

from __future__ import annotations

from collections import Counter

from node_agent.errors import UnknownSandbox
from node_agent.pools.planning import Counts
from node_agent.sandboxes import Sandbox, State


class Roster:
    """Every sandbox that this node knows. It has no lock of its own: `Pools` holds one around every call."""

    def __init__(self) -> None:
        self._by_name: dict[str, Sandbox] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def put(self, sandbox: Sandbox) -> None:
        """Note a sandbox, or its new state; its place in the order of arrival stays."""
        self._by_name[sandbox.name] = sandbox

    def drop(self, name: str) -> None:
        self._by_name.pop(name, None)

    def find(self, name: str, state: State | None = None) -> Sandbox | None:
        """The sandbox of this name, if it is there and in this state."""
        sandbox = self._by_name.get(name)
        return sandbox if sandbox is not None and state in (None, sandbox.state) else None

    def get(self, name: str) -> Sandbox:
        """The sandbox of this name.

        Raises:
            UnknownSandbox: there is none.
        """
        sandbox = self._by_name.get(name)
        if sandbox is None:
            raise UnknownSandbox(name)
        return sandbox

    def all(self) -> list[Sandbox]:
        return list(self._by_name.values())

    def ready(self, pool: str | None = None) -> list[Sandbox]:
        """The ready ones of one pool or of all, oldest first."""
        return [each for each in self._by_name.values() if each.state == "ready" and pool in (None, each.pool)]

    def counts(self, pool: str, image: str) -> Counts:
        """One pool's, whose image is this one."""
        states: Counter[str] = Counter()
        stale = 0
        for sandbox in self._by_name.values():
            if sandbox.pool == pool:
                states[sandbox.state] += 1
                stale += sandbox.state == "ready" and sandbox.image != image
        return Counts(states["ready"], states["starting"], states["claimed"], states["ending"], stale)
