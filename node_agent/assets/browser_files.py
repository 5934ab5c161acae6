"""What an image holds for browsers: JupyterLab's scripts and those of its extensions, found and read.

Names begin with `lab/` or `labextensions/`, the two parts that JupyterLab can be told to fetch from elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PARTS = {"lab": "share/jupyter/lab/static", "labextensions": "share/jupyter/labextensions"}
"""Below the prefix of the Python that Jupyter is installed in."""

SYSTEM = ("/usr/local", "/usr")
"""Prefixes whose extensions every Jupyter sees, behind those of its own."""

ENTRY = "lab/index.html"
"""Where this is missing there is no JupyterLab."""

PLAIN = re.compile(r"[A-Za-z0-9@._/+-]{1,200}")
"""Names that need no escaping in an address: nginx compares addresses as they were sent. Others stay in the sandbox."""

ID_LENGTH = 16
"""Hexadecimal digits."""

MAX_FILES = 20_000
MAX_BYTES = 256 << 20
"""An image that holds more than this for browsers has something else there."""

File = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class BrowserFiles:
    """An image's, not read yet. `id` is another one for every other content."""

    id: str
    read: Callable[[], Iterable[File]]


@dataclass(frozen=True, slots=True)
class Place:
    """A directory of an image, and the part that it is."""

    part: str
    path: str


def places(prefix: str) -> list[Place]:
    """Where an image's files are, the first to win, for a Jupyter that is installed in `prefix`."""
    own = prefix.rstrip("/") or "/usr"
    found = [Place(part, f"{own}/{below}") for part, below in PARTS.items()]
    return found + [Place("labextensions", f"{other}/{PARTS['labextensions']}") for other in SYSTEM if other != own]


def wanted(part: str, inner: str) -> str | None:
    """The name of a file below a place, or None: source maps are for developers, odd names for nobody."""
    name = f"{part}/{inner}"
    dotted = any(segment.startswith(".") for segment in inner.split("/"))
    return name if PLAIN.fullmatch(name) and not dotted and not inner.endswith(".map") else None


def of_directories(found: Sequence[Place]) -> Iterator[tuple[str, Path]]:
    """The files of this host's own Jupyter."""
    for place in found:
        root = Path(place.path)
        for path in sorted(root.rglob("*")):
            if path.is_file() and (name := wanted(place.part, path.relative_to(root).as_posix())):
                yield name, path


def of_archive(part: str, stream: IO[bytes]) -> Iterator[File]:
    """The files in a directory that an engine packed, its own name the first segment of each."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = wanted(part, member.name.partition("/")[2])
            if member.isfile() and name and (content := archive.extractfile(member)):
                yield name, content.read(MAX_BYTES)


def of_host(prefix: str) -> BrowserFiles:
    """Those of the Jupyter that is installed in `prefix` on this host."""
    files = list(of_directories(places(prefix)))
    return BrowserFiles(_fingerprint(files)[:ID_LENGTH], lambda: ((name, path.read_bytes()) for name, path in files))


def _fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """What changes when one of them does."""
    digest = hashlib.sha256()
    for name, path in files:
        status = path.stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
