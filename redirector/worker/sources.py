"""What every kind of source yields: a checked tree, and how to read its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redirector.worker.tree import Leaf, SourceFile, Tree


@dataclass(frozen=True, slots=True)
class FetchedTree:
    """A tree that was fetched. Files are read one after the other, each to its end."""

    tree: Tree
    version: str
    """What tells this state of the source from another one: a commit, an archive's ETag, a directory's fingerprint."""
    read: Callable[[Leaf], SourceFile]
