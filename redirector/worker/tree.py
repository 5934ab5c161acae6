"""A tree of plain files, checked, and its canonical form: a tar whose bytes follow from names, modes and contents.

Sources are strangers' work, so everything that could lead out of a home or surprise whoever unpacks the tar is refused
here, before a byte of it is written. A link that stays inside the tree becomes a copy of what it leads to.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Protocol, cast

from redirector.worker.errors import TreeError
from redirector.worker.tree_paths import shown_path

LINK_STEPS = 40
"""The longest chain of links, as Linux has it."""


class SourceFile(Protocol):
    """Something to read a file's bytes from, in order."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest tree that is taken: its files, and the bytes in all of them."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One file of a tree, or a link. `key` is what its source finds it by."""

    path: str
    size: int
    key: str | int
    executable: bool = False
    target: str = ""
    """Where a link leads; empty: it is a file."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A tar that was written: its SHA-256, its bytes and its files."""

    digest: str
    size: int
    files: int


@dataclass(slots=True)
class Tree:
    """Takes the files of a source one after the other, and refuses what does not belong into a tree."""

    bounds: Bounds
    submodules: int = 0
    dangling: int = 0
    """Links that lead to nothing, and are left out."""
    _leaves: dict[str, Leaf] = field(default_factory=dict)
    _directories: set[str] = field(default_factory=set)
    _size: int = 0

    def add(self, leaf: Leaf) -> None:
        """Take one file or link, whose path was checked by `checked_path`.

        Raises:
            TreeError: it is one too many, or in the way of another one.
        """
        if leaf.path in self._leaves or leaf.path in self._directories:
            raise TreeError(f"{shown_path(leaf.path)} is there twice")
        parent = posixpath.dirname(leaf.path)
        while parent and parent not in self._directories:
            if parent in self._leaves:
                raise TreeError(f"{shown_path(parent)} is a file and a directory")
            self._directories.add(parent)
            parent = posixpath.dirname(parent)
        self._leaves[leaf.path] = leaf
        self._count(leaf)

    def _count(self, leaf: Leaf) -> None:
        if len(self._leaves) > self.bounds.files:
            raise TreeError(f"it has more than {self.bounds.files} files, the most that TMPNB_CONTENT_FILES allows")
        if leaf.size < 0:
            raise TreeError(f"{shown_path(leaf.path)} has a size below zero")
        self._size += leaf.size
        if self._size > self.bounds.size:
            raise TreeError(f"it holds more than {self.bounds.size} bytes, the most that TMPNB_CONTENT_BYTES allows")

    def without_single_root(self) -> None:
        """Take away the one directory that holds everything, as archives of forges have it."""
        roots = {path.partition("/")[0] for path in self._leaves}
        if len(roots) != 1 or not all("/" in path for path in self._leaves):
            return
        [root] = roots
        leaves = [replace(leaf, path=leaf.path.removeprefix(f"{root}/")) for leaf in self._leaves.values()]
        self._leaves, self._directories, self._size = {}, set(), 0
        for leaf in leaves:
            self.add(leaf)

    def files(self) -> Iterator[Leaf]:
        """Every file in the order of the tar, links followed.

        Raises:
            TreeError: a link leads out of the tree, in a circle, or to too much.
        """
        plain = {path: leaf for path, leaf in self._leaves.items() if not leaf.target}
        for path, leaf in self._leaves.items():
            if leaf.target:
                for copy in self._followed(path):
                    if copy.path in plain:
                        raise TreeError(f"{shown_path(copy.path)} is there twice")
                    plain[copy.path] = copy
                    self._size += copy.size
                    if len(plain) > self.bounds.files or self._size > self.bounds.size:
                        raise TreeError("its links lead to more than TMPNB_CONTENT_FILES or TMPNB_CONTENT_BYTES allow")
        yield from (plain[path] for path in sorted(plain, key=str.encode))

    def _followed(self, path: str) -> Iterator[Leaf]:
        """Copies of what a link leads to: one file, or all of a directory."""
        real = self._resolved(path)
        if leaf := self._leaves.get(real):
            yield replace(leaf, path=path)
        elif real in self._directories:
            if f"{path}/".startswith(f"{real}/"):
                raise TreeError(f"the link {shown_path(path)} leads to a directory that it lies in")
            for inner, leaf in self._leaves.items():
                if inner.startswith(f"{real}/"):
                    if leaf.target:
                        raise TreeError(f"the link {shown_path(path)} leads to a directory that holds links itself")
                    yield replace(leaf, path=f"{path}{inner.removeprefix(real)}")
        else:
            self.dangling += 1

    def _resolved(self, path: str) -> str:
        """Where a path leads once no part of it is a link any more; the tree's own root is a circle."""
        steps, todo, real = 0, path.split("/"), ""
        while todo:
            part = todo.pop(0)
            if part == "..":
                if not real:
                    raise TreeError(f"the link {shown_path(path)} leads out of the tree")
                real = posixpath.dirname(real)
                continue
            if part in ("", "."):
                continue
            real = f"{real}/{part}" if real else part
            leaf = self._leaves.get(real)
            if leaf is None or not leaf.target:
                continue
            steps += 1
            if steps > LINK_STEPS:
                raise TreeError(f"the link {shown_path(path)} leads in a circle")
            if leaf.target.startswith("/"):
                raise TreeError(f"the link {shown_path(real)} leads out of the tree")
            todo[:0] = leaf.target.split("/")
            real = posixpath.dirname(real)
        if not real:
            raise TreeError(f"the link {shown_path(path)} leads to a directory that it lies in")
        return real


def pack(tree: Tree, target: IO[bytes], read: Callable[[Leaf], SourceFile]) -> Packed:
    """Write a tree as a canonical tar: sorted by name, modes 644 or 755, no owner, no times, no directories, no links.

    Raises:
        TreeError: a file of it is shorter than its source says.
    """
    hashed, files = _Hashed(target), 0
    # Of the files only `write` and `read` are asked.
    with tarfile.open(fileobj=cast(IO[bytes], hashed), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for leaf in tree.files():
            member = tarfile.TarInfo(leaf.path)
            member.size = leaf.size
            member.mode = 0o755 if leaf.executable else 0o644
            try:
                archive.addfile(member, cast(IO[bytes], read(leaf)))
            except OSError as error:
                if error.errno is not None:
                    raise
                raise TreeError(f"{shown_path(leaf.path)} is shorter than its source says") from error
            files += 1
    return Packed(hashed.digest, hashed.size, files)


class _Hashed:
    """Counts and hashes what is written to a file."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> int:
        self._hash.update(piece)
        self.size += len(piece)
        return self._target.write(piece)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
