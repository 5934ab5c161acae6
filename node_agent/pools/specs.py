"""What operators want of a pool, and of the memory that all pools share."""

from __future__ import annotations

from dataclasses import dataclass

from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.sandboxes import Sandbox


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One pool as its operator wants it."""

    name: str
    image: str
    warm: int
    capacity: int
    landing: str = "/lab"
    """The page that visitors get who ask for none."""
    command: str = JUPYTER_LAB
    """The template that starts its servers."""
    cell: str = ""
    """The code that has to run in a trial sandbox; empty: any kernel that answers will do."""
    content: str = ""
    """The digest of the blob that is in each new home; empty: none."""

    def is_met_by(self, sandbox: Sandbox) -> bool:
        """Whether a sandbox was made of the image and with the content that the pool wants now."""
        return (sandbox.image, sandbox.content) == (self.image, self.content)


@dataclass(frozen=True, slots=True)
class Memory:
    """What all sandboxes of this node may use together, in bytes, and what each is counted with at least."""

    total: int
    reserve: int
