"""What operators changed about pools at run time: durable, and in force until the settings themselves change.

Beside each value stands the one that the settings had when it was changed. Whoever edits the settings later speaks
last: a change whose `was` is no longer in the settings is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from node_agent import files
from node_agent.errors import HostError, UnknownPool
from node_agent.pools.pools import Pools
from node_agent.pools.specs import PoolSpec

FIELDS = ("image", "warm", "capacity", "content")
"""What can be changed at run time."""


class PoolOverrides:
    """Keeps the changes in a file: written before they count, so that what was acknowledged survives a power cut."""

    def __init__(self, path: Path, configured: Iterable[PoolSpec]) -> None:
        """Read the changes to the pools that the settings describe.

        Raises:
            HostError: the file is damaged. A node that forgot its image would go back to an old one.
        """
        self._path = path
        self._configured = {spec.name: spec for spec in configured}
        self._lock = threading.Lock()
        self._specs = {spec.name: spec for spec in _applied(path, self._configured, files.read_json(path) or {})}

    def specs(self) -> list[PoolSpec]:
        """Every pool as it is wanted now."""
        return list(self._specs.values())

    def change(
        self,
        pools: Pools,
        name: str,
        *,
        image: str | None = None,
        warm: int | None = None,
        capacity: int | None = None,
        content: str | None = None,
    ) -> PoolSpec:
        """Want a pool differently, durably; None leaves a value as it is.

        Raises:
            UnknownPool: the settings have none of this name.
            ValueError: the values do not go together; says why.
        """
        with self._lock:
            if name not in self._specs:
                raise UnknownPool(name)
            wanted = changed(self._specs[name], image=image, warm=warm, capacity=capacity, content=content)
            specs = {**self._specs, name: wanted}
            files.write_json(self._path, {"pools": dict(self._differences(specs.values()))})
            self._specs = specs
            pools.update_spec(wanted)
            return wanted

    def _differences(self, specs: Iterable[PoolSpec]) -> Iterable[tuple[str, dict[str, Any]]]:
        for spec in specs:
            was, now = asdict(self._configured[spec.name]), asdict(spec)
            fields = {field: {"was": was[field], "now": now[field]} for field in FIELDS if was[field] != now[field]}
            if fields:
                yield spec.name, fields


def changed(
    spec: PoolSpec,
    *,
    image: str | None = None,
    warm: int | None = None,
    capacity: int | None = None,
    content: str | None = None,
) -> PoolSpec:
    """The pool with other values.

    A pool that was kept warm as a whole stays so when it is resized, and no more is kept warm than it may hold.

    Raises:
        ValueError: more is to be kept warm than the pool may hold.
    """
    capacity = spec.capacity if capacity is None else capacity
    if warm is None:
        warm = capacity if spec.warm == spec.capacity else min(spec.warm, capacity)
    if warm > capacity:
        raise ValueError(f"warm is {warm}, more than the capacity, {capacity}")
    content = spec.content if content is None else content
    return replace(spec, image=image or spec.image, warm=warm, capacity=capacity, content=content)


def _applied(path: Path, configured: dict[str, PoolSpec], raw: dict[str, Any]) -> Iterable[PoolSpec]:
    try:
        return [_with(spec, raw.get("pools", {}).get(name, {})) for name, spec in configured.items()]
    except (AttributeError, KeyError, TypeError) as error:
        raise HostError(f"{path} does not hold changes of pools ({error!r}). Mend or remove it.") from error


def _with(spec: PoolSpec, changes: dict[str, dict[str, Any]]) -> PoolSpec:
    held: dict[str, Any] = {field: getattr(spec, field) for field in FIELDS}
    for field, change in changes.items():
        if type(change["now"]) is not type(held[field]):
            raise TypeError(f"{field} is {change['now']!r:.40}")
        if change["was"] == getattr(spec, field):
            held[field] = change["now"]
    # Of a change whose other half the settings have overtaken.
    return replace(spec, **{**held, "warm": min(held["warm"], held["capacity"])})
