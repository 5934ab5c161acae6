"""What the worker's tests have in common: a forge, and fetching from it into memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.worker.addresses import AddressCheck
from redirector.worker.git import GitSource, fetch_git
from redirector.worker.limits import FetchLimits
from redirector.worker.needs import Needs
from redirector.worker.sources import FetchedTree
from redirector.worker.tree import Bounds, pack
from tests.support.forge import Forge, serving_forge

LOOPBACK = AddressCheck([ip_network("127.0.0.0/8")])
BOUNDS = Bounds(1000, 10_000_000)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with serving_forge(tmp_path / "forge") as forge:
        yield forge


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def limits(seconds: float = 60, disk_bytes: int = 50_000_000) -> FetchLimits:
    return FetchLimits(seconds, disk_bytes)


class Unpacked:
    """A tar that was packed from a fetched tree, read again."""

    def __init__(self, fetched: FetchedTree) -> None:
        needs, target = Needs(), io.BytesIO()
        self.packed = pack(fetched.tree, target, lambda leaf: needs.watched(leaf, fetched.read(leaf)))
        self.version = fetched.version
        self.needs = needs.line(fetched.tree)
        self.tar = target.getvalue()
        with tarfile.open(fileobj=io.BytesIO(self.tar)) as archive:
            self.members = archive.getmembers()
            self.files = {
                member.name: file.read() for member in self.members if (file := archive.extractfile(member)) is not None
            }


def git_tree(
    forge: Forge,
    name: str,
    scratch: Path,
    ref: str = "HEAD",
    *,
    known: str = "",
    token: str = "",
    within: FetchLimits | None = None,
    bounds: Bounds = BOUNDS,
) -> Unpacked | None:
    """What is fetched of a forge's repository; None: nothing new."""
    url = forge.address_of(name)
    source = GitSource(url, ref, LOOPBACK.origin(url), token)
    with fetch_git(source, known, scratch, bounds, within or limits()) as fetched:
        return None if fetched is None else Unpacked(fetched)
