"""Browser files that all sandboxes of an image share, kept for nginx to serve without any sandbox.

    <run>/static/<id>/lab/…             JupyterLab's scripts
    <run>/static/<id>/labextensions/…   those of its extensions
    <run>/static/<id>.users/<name>      a mark: this sandbox's pages point there

Every file is stored compressed and only so: nginx sends it as it is, and unpacks it for the rare client that cannot.
A directory appears by one rename when it is whole, and goes when no pool wants its image and no mark is left.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from node_agent.assets.browser_files import ENTRY, ID_LENGTH, MAX_BYTES, MAX_FILES, File
from node_agent.errors import HostError

LEVEL = 6
"""Of gzip. 9 takes four times as long for one hundredth less."""

_USERS = ".users"
_UNFINISHED = ".new"


class AssetStore:
    """The directories below `<run>/static`; one process writes there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the directory, and remove what a crash left half-written.

        Raises:
            HostError: it cannot be used.
        """
        try:
            self._root.mkdir(exist_ok=True)
            # nginx's workers are another user; they look for names that they were given.
            self._root.chmod(0o711)
            for unfinished in self._root.glob(f"*{_UNFINISHED}"):
                shutil.rmtree(unfinished)
        except OSError as error:
            raise HostError(f"the directory for shared files cannot be used: {error.strerror}") from error

    def has(self, asset_id: str) -> bool:
        return (self._root / asset_id).is_dir()

    def put(self, asset_id: str, files: Iterable[File]) -> None:
        """Compress and store an image's files, the first of a name to win.

        Raises:
            HostError: they are not JupyterLab's, are far too many, or do not fit on the disk.
        """
        fresh = self._root / f"{asset_id}{_UNFINISHED}"
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            _store(fresh, files)
            fresh.rename(self._root / asset_id)
        except OSError as error:
            raise HostError(f"cannot store an image's shared files: {error.strerror}") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def use(self, asset_id: str, sandbox: str) -> None:
        """Note that a sandbox's pages point to these files, so that they stay as long as it does."""
        users = self._root / f"{asset_id}{_USERS}"
        try:
            users.mkdir(mode=0o700, exist_ok=True)
            (users / sandbox).touch()
        except OSError as error:
            raise HostError(f"cannot note the use of shared files: {error.strerror}") from error

    def sweep(self, living: Collection[str], current: Collection[str]) -> list[str]:
        """Remove what no living sandbox uses and no pool's image needs; returns the ids that went.

        Raises:
            HostError: the disk does not do as asked.
        """
        gone = []
        try:
            for directory in sorted(self._root.iterdir()):
                asset_id = directory.name
                if not re.fullmatch(f"[0-9a-f]{{{ID_LENGTH}}}", asset_id):
                    continue
                if not self._users(asset_id, living) and asset_id not in current:
                    shutil.rmtree(directory)
                    shutil.rmtree(self._root / f"{asset_id}{_USERS}", ignore_errors=True)
                    gone.append(asset_id)
        except OSError as error:
            raise HostError(f"cannot tidy up shared files: {error.strerror}") from error
        return gone

    def _users(self, asset_id: str, living: Collection[str]) -> list[str]:
        users = self._root / f"{asset_id}{_USERS}"
        left = []
        for mark in users.iterdir() if users.is_dir() else ():
            if mark.name in living:
                left.append(mark.name)
            else:
                mark.unlink(missing_ok=True)
        return left


def _store(directory: Path, files: Iterable[File]) -> None:
    directory.mkdir(mode=0o755)
    seen: set[str] = set()
    size = 0
    for name, content in files:
        if name in seen:
            continue
        seen.add(name)
        size += len(content)
        if len(seen) > MAX_FILES or size > MAX_BYTES:
            raise HostError("the image holds too much for browsers to be shared; its sandboxes serve it themselves")
        path = directory / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        # No time in it: the same file is the same bytes on every node.
        path.write_bytes(gzip.compress(content, LEVEL, mtime=0))
    if ENTRY not in seen:
        raise HostError("the image holds no JupyterLab; its sandboxes serve their pages themselves")
    # Whatever this process's umask is: nginx's workers are another user.
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
