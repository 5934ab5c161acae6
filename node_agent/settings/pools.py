"""The settings of each pool: its own where there are any, else those of the pool `default`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from node_agent.pools.culling import Limits
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.settings import docker as docker_settings
from node_agent.settings.values import PREFIX
from tmpnb_common.settings import Setting
from tmpnb_common.wire import DEFAULT_POOL

LIFE = ("cull_idle_seconds", "max_age_seconds", "unvisited_seconds", "cull_closed_seconds")
OWN = frozenset({"image", "command", "landing", "warm", "capacity", "trial_cell", *LIFE}) | docker_settings.FIELDS
"""Fields of the settings table that a pool may have of its own."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool, as the settings describe it."""

    name: str
    image: str
    command: str
    landing: str
    warm: int
    capacity: int
    trial_cell: str
    life: Limits
    """How long its sessions last."""
    limits: DockerLimits


def rows(table: Iterable[Setting]) -> list[Setting]:
    return [row for row in table if row.field in OWN]


def variable(pool: str, row: Setting) -> str:
    return f"{PREFIX}POOL_{pool.replace('-', '_').upper()}_{row.field.upper()}"


def read(
    environment: Mapping[str, str], values: Mapping[str, Any], table: Iterable[Setting]
) -> tuple[tuple[PoolSettings, ...], list[str]]:
    """Every pool, the default one first, and what is wrong with their own settings.

    `values` are those of the default pool. Pools are left out where one of those is missing because it was wrong.
    """
    problems: list[str] = []
    pools = []
    for pool in (DEFAULT_POOL, *values["pools"]):
        own: dict[str, Any] = {}
        for row in rows(table) if pool != DEFAULT_POOL else ():
            name = variable(pool, row)
            if name in environment:
                try:
                    own[row.field] = row.parse(environment[name])
                except ValueError as error:
                    problems.append(f"{name} {error}")
        if "capacity" in own:
            # As for the default pool: everything is kept ready unless said otherwise.
            own.setdefault("warm", own["capacity"])
        if "image" not in own and pool != DEFAULT_POOL:
            # The same image a second time would be a slip, not a wish.
            own["image"] = ""
        of_pool = {**values, **own}
        if of_pool.keys() >= OWN:
            pools.append(_pool(pool, of_pool))
    return tuple(pools), problems


def _pool(name: str, values: Mapping[str, Any]) -> PoolSettings:
    return PoolSettings(
        name,
        values["image"],
        values["command"],
        values["landing"],
        values["warm"],
        values["capacity"],
        values["trial_cell"],
        Limits(*(values[name] for name in LIFE)),
        docker_settings.limits(values),
    )
