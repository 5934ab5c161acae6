"""What a content asks of its environment, in one line for people: names only, nothing of it is installed or run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from redirector.worker.tree import Leaf, SourceFile, Tree

HEAD_BYTES = 64 * 1024
"""What is read of a file that lists packages."""

LINE_LIMIT = 400
NAMES_LIMIT = 25

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"

_PLACES = ("", "binder/", ".binder/")
"""Where repo2docker looks, too."""

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63})", re.MULTILINE)
_DEPENDENCY = re.compile(r"^\s*-\s*(?:[A-Za-z0-9_-]+::)?([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?!\S*:\s*$)", re.MULTILINE)
_WORD = re.compile(r"^\s*([a-z0-9][a-z0-9.+-]{0,63})", re.MULTILINE)


def _requirements(text: str) -> list[str]:
    return _REQUIREMENT.findall(text)


def _environment(text: str) -> list[str]:
    return _DEPENDENCY.findall(text.partition("dependencies:")[2])


def _packages(text: str) -> list[str]:
    return _WORD.findall(text)


_LISTS: dict[str, Callable[[str], list[str]]] = {
    "requirements.txt": _requirements,
    "environment.yml": _environment,
    "environment.yaml": _environment,
    "apt.txt": _packages,
}
_SCRIPTS = ("postBuild", "install.R", "Project.toml", "Dockerfile", "setup.py", "default.nix")


@dataclass(slots=True)
class Needs:
    """Looks at files as they pass on their way into a tar."""

    lfs: int = 0
    _lists: dict[str, bytes] = field(default_factory=dict)
    _scripts: list[str] = field(default_factory=list)

    def watched(self, leaf: Leaf, source: SourceFile) -> SourceFile:
        """`source`, whose first bytes are looked at while others read it."""
        name = next((leaf.path.removeprefix(place) for place in _PLACES[1:] if leaf.path.startswith(place)), leaf.path)
        if name in _SCRIPTS:
            self._scripts.append(name)
        if name in _LISTS:
            return _Watched(source, min(HEAD_BYTES, leaf.size), lambda head: self._lists.setdefault(name, head))
        return _Watched(source, min(len(LFS_POINTER), leaf.size), self._look_for_lfs)

    def _look_for_lfs(self, head: bytes) -> None:
        self.lfs += head == LFS_POINTER

    def line(self, tree: Tree) -> str:
        """One line; empty if there is nothing to say."""
        parts = [f"{name}: {names}" for name, names in ((name, self._names(name)) for name in _LISTS) if names]
        if self._scripts:
            parts.append(f"not run: {', '.join(dict.fromkeys(self._scripts))}")
        for count, words in (
            (self.lfs, "Git LFS pointers, whose files are not fetched"),
            (tree.submodules, "submodules, which are not fetched"),
            (tree.dangling, "links that lead to nothing, which are left out"),
        ):
            if count:
                parts.append(f"{count} {words}")
        line = "; ".join(parts)
        return line if len(line) <= LINE_LIMIT else f"{line[: LINE_LIMIT - 1]}…"

    def _names(self, name: str) -> str:
        # Bytes that are no text name nothing.
        text = self._lists.get(name, b"").decode(errors="replace")
        names = list(dict.fromkeys(word for word in _LISTS[name](text) if word != "pip"))
        more = ["…"] if len(names) > NAMES_LIMIT else []
        return ", ".join(names[:NAMES_LIMIT] + more)


class _Watched:
    """Passes reads through, and tells the first bytes once they are there, or the end is."""

    def __init__(self, source: SourceFile, size: int, tell: Callable[[bytes], object]) -> None:
        self._source, self._size, self._tell = source, size, tell
        self._head: bytes | None = b""

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        if self._head is not None:
            self._head += piece[: self._size - len(self._head)]
            if len(self._head) == self._size:
                self._tell(self._head)
                self._head = None
        return piece
