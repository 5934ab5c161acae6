"""A directory of the redirector's host as a source. An operator owns it; still, nothing of it is followed outward."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redirector.worker.errors import FetchError, TreeError
from redirector.worker.limits import FetchLimits
from redirector.worker.sources import FetchedTree
from redirector.worker.tree import Bounds, Leaf, SourceFile, Tree
from redirector.worker.tree_paths import checked_path, checked_target

LEFT_OUT = frozenset({".git", ".ipynb_checkpoints", "__pycache__"})
"""Directories that belong to tools."""


@contextmanager
def fetch_directory(path: Path, known: str, bounds: Bounds, limits: FetchLimits) -> Iterator[FetchedTree | None]:
    """The tree of a directory, whose files can be read within this context; None: it looks as `known` says.

    Raises:
        FetchError: it cannot be read.
        TreeError: it is not one of plain files within the bounds.
    """
    if not path.is_dir():
        raise FetchError(f"{str(path)!r:.200} is no directory that the worker can see")
    tree, marks = Tree(bounds), hashlib.sha256()
    try:
        for root, names, files, descriptor in os.fwalk(os.fsencode(path), follow_symlinks=False):
            limits.seconds_left()
            names[:] = sorted(name for name in names if os.fsdecode(name) not in LEFT_OUT)
            links = [name for name in names if stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode)]
            inner = os.path.relpath(root, os.fsencode(path))
            for name in sorted([*files, *links]):
                status = os.lstat(name, dir_fd=descriptor)
                relative = checked_path(name if inner == b"." else b"/".join((inner, name)))
                marks.update(
                    repr((relative, status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode)).encode()
                )
                _add(tree, relative, status, name, descriptor)
    except OSError as error:
        raise FetchError(f"{str(path)!r:.200} cannot be read: {error.strerror}") from error
    version = marks.hexdigest()
    if version == known:
        yield None
        return
    with ExitStack() as stack:
        yield FetchedTree(tree, version, lambda leaf: _opened(path, leaf, stack))


def _add(tree: Tree, relative: str, status: os.stat_result, name: bytes, descriptor: int) -> None:
    if stat.S_ISLNK(status.st_mode):
        tree.add(Leaf(relative, 0, relative, target=checked_target(os.readlink(name, dir_fd=descriptor))))
    elif stat.S_ISREG(status.st_mode):
        tree.add(Leaf(relative, status.st_size, relative, executable=bool(status.st_mode & stat.S_IXUSR)))
    else:
        raise TreeError(f"{relative!r:.80} is a device, a pipe or the like")


def _opened(root: Path, leaf: Leaf, stack: ExitStack) -> SourceFile:
    """One file, opened without following a link that has taken its place meanwhile. The one before it is closed."""
    stack.close()
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, directory)
    *parents, name = str(leaf.key).split("/")
    try:
        for parent in parents:
            directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            stack.callback(os.close, directory)
        file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory), "rb")
    except OSError as error:
        raise FetchError(f"{leaf.path!r:.80} cannot be read: {error.strerror}") from error
    stack.callback(file.close)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise TreeError(f"{leaf.path!r:.80} is no file any more")
    return file
