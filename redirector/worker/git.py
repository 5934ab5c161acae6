"""Git sources: one commit, fetched without its history and read object by object. Nothing is ever checked out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redirector.worker.addresses import Origin
from redirector.worker.errors import FetchError
from redirector.worker.git_program import GitProgram
from redirector.worker.limits import FetchLimits
from redirector.worker.sources import FetchedTree
from redirector.worker.tree import Bounds, Leaf, SourceFile, Tree
from redirector.worker.tree_paths import LINK_BYTES, checked_path, checked_target

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

FILE, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
_FILES = (FILE, EXECUTABLE, "100664")
"""Git once wrote the last one, too."""

LINE_BYTES = 8192
"""The longest line of `ls-tree` that is read: a path's limit and a bit."""


@dataclass(frozen=True, slots=True)
class GitSource:
    """What to fetch, and from where."""

    url: str
    ref: str
    origin: Origin
    token: str = ""


@contextmanager
def fetch_git(
    source: GitSource, known: str, scratch: Path, bounds: Bounds, limits: FetchLimits
) -> Iterator[FetchedTree | None]:
    """The tree of a commit, whose files can be read within this context; None: `known` is the commit still.

    Raises:
        FetchError: the forge is away, slow or garbled, or has no such commit.
        TreeError: the tree is not one of plain files within the bounds.
    """
    git = GitProgram(scratch, source.origin, source.token, limits)
    git.run("init", "--quiet", "--bare", "--template=")
    if known and _current(git, source) == known:
        yield None
        return
    git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", source.url, source.ref)
    commit = git.run("rev-parse", "--verify", "--end-of-options", "FETCH_HEAD^{commit}").decode().strip()
    if not COMMIT.fullmatch(commit):
        raise FetchError("git names no commit")
    tree = Tree(bounds)
    with git.talking("cat-file", "--batch") as objects:
        with git.talking("ls-tree", "-r", "-z", "-l", "--full-tree", commit) as listing:
            for line in _lines(listing):
                _add(tree, line, objects)
            if listing.wait() != 0:
                limits.seconds_left()
                raise FetchError("git cannot list the files of the commit")
        yield FetchedTree(tree, commit, lambda leaf: _Object(objects, str(leaf.key)))
        limits.seconds_left()


def _current(git: GitProgram, source: GitSource) -> str:
    """The commit that a ref means at the forge now; empty if it is none that the forge lists, such as a commit."""
    if COMMIT.fullmatch(source.ref):
        return source.ref
    names = [f"refs/heads/{source.ref}", f"refs/tags/{source.ref}^{{}}", f"refs/tags/{source.ref}", source.ref]
    rows = git.run("ls-remote", "--quiet", "--", source.url, source.ref, f"{source.ref}^{{}}").decode(errors="replace")
    commits = {name: commit for commit, _, name in (row.partition("\t") for row in rows.splitlines())}
    return next((commits[name] for name in names if name in commits), "")


def _lines(listing: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The lines of a listing, which end with NUL, in pieces that bound the memory."""
    assert listing.stdout is not None
    rest = b""
    while piece := listing.stdout.read1(LINE_BYTES):  # type: ignore[attr-defined]  # a pipe's file is buffered
        *lines, rest = (rest + piece).split(b"\0")
        yield from lines
        if len(rest) > LINE_BYTES:
            raise FetchError("git lists a name that is too long")


def _add(tree: Tree, line: bytes, objects: subprocess.Popen[bytes]) -> None:
    head, _, raw = line.partition(b"\t")
    fields = head.decode("ascii", errors="replace").split()
    if len(fields) != 4:  # noqa: PLR2004 - mode, type, object, size
        raise FetchError("git lists something that is no file")
    mode, _, key, size = fields
    if mode == SUBMODULE:
        tree.submodules += 1
        return
    path = checked_path(raw)
    if mode == LINK:
        target = _Object(objects, key).read(LINK_BYTES + 1) if int(size) <= LINK_BYTES else b""
        tree.add(Leaf(path, 0, key, target=checked_target(target)))
    elif mode in _FILES:
        tree.add(Leaf(path, int(size), key, executable=mode == EXECUTABLE))
    else:
        raise FetchError(f"git lists {path!r:.80} with the mode {mode:.10}, which is no file's")


class _Object(SourceFile):
    """Reads one object from a running `git cat-file --batch`. Each is read to its end before the next one begins."""

    def __init__(self, objects: subprocess.Popen[bytes], key: str) -> None:
        assert objects.stdin is not None
        assert objects.stdout is not None
        self._file = objects.stdout
        try:
            objects.stdin.write(f"{key}\n".encode())
            objects.stdin.flush()
            head = self._file.readline(200).split()
        except BrokenPipeError:
            head = []
        if len(head) != 3:  # noqa: PLR2004 - object, type, size
            raise FetchError(f"git does not have the object {key:.64} that its tree names")
        self._left = int(head[2])
        self._end()

    def read(self, size: int, /) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        if piece:
            self._end()
        return piece

    def _end(self) -> None:
        if self._left == 0:
            self._file.read(1)  # the line's end that follows each object
