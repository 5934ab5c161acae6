"""Moving a fleet to another image: which nodes, in which direction, when one of them is done. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from redirector.admin_api.views import NodeView


@dataclass(frozen=True, slots=True)
class Move:
    """One node's pool that goes to an image. One that is there already still has to prove itself."""

    node: str
    image: str
    there: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what cannot be."""

    moves: tuple[Move, ...]
    left_out: tuple[tuple[str, str], ...]
    """Nodes that stay as they are, and why."""


def plan(nodes: Iterable[NodeView], pool: str, image: str, *, back: bool) -> Plan:
    """Which pools go where.

    Args:
        nodes: the fleet.
        pool: of each node.
        image: where to; on the way back the image to get away from.
        back: each pool returns to the image that it had before this one.
    """
    moves, left_out = [], []
    for node in nodes:
        found = node.pools.get(pool)
        if found is None:
            left_out.append((node.name, f"has no pool {pool}"))
        elif node.health == "down":
            left_out.append((node.name, f"is {node.reason or 'down'}"))
        elif not back:
            moves.append(Move(node.name, image, there=found.image == image))
        elif found.image == image and found.image_before:
            moves.append(Move(node.name, found.image_before))
        elif found.image == image:
            left_out.append((node.name, "had no image before this one"))
    if all(move.there for move in moves):
        # Nothing was interrupted: they proved themselves when they came here.
        moves = []
    # Those that an interrupted run has moved come first: should one of them be bad, nothing else is touched.
    return Plan(tuple(sorted(moves, key=lambda move: not move.there)), tuple(left_out))


def arrived(node: NodeView, pool: str, image: str) -> bool:
    """Whether the node reports that image, with a sandbox of it ready if it takes visitors."""
    found = node.pools.get(pool)
    if found is None or found.image != image or found.problem or found.fetching:
        return False
    return not node.eligible or found.available > 0 or found.claimed >= found.capacity


def replaced(node: NodeView, pool: str) -> bool:
    """Whether no visitor can get a sandbox of a former image there. A node that drains does that once it is resumed."""
    found = node.pools.get(pool)
    return not node.eligible or (found is not None and not found.stale)


def stuck(node: NodeView, pool: str, image: str, *, reported: bool = False) -> str:
    """Why the node will not get there by waiting; empty while it may. `reported`: it had said that it has the image."""
    found = node.pools.get(pool)
    if found is not None and found.image == image and found.problem:
        return found.problem
    if reported and found is not None and found.image != image:
        return f"was moved to {found.image} meanwhile"
    return f"is {node.reason}" if node.health == "down" else ""
