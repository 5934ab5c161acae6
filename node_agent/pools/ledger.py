"""The directories that say which sandbox belongs to a visitor: the routes of nginx, and what survives a restart.

    <run>/ready/<key>/      nobody's yet; nginx does not look here
    <run>/user/<key>/       a visitor's: nginx routes /user/<key>/ to the socket in it
    <run>/tickets/<hash>    a mark: symbolic link to the sandbox that this ticket got, made before the rename
    <run>/seen/<name>       a file that nginx makes at a visitor's first request, of whatever kind

A claim is the mark and then one rename. A mark whose sandbox is still in `ready/` means that the agent died in
between, and `recover` finishes the rename. So there is no claimed sandbox without a mark, and the same ticket never
gets a second one while the first is there.

The mark's own time is that of the claim, in seconds since the host's boot: no sandbox outlives that, and no correction
of the host's clock moves it.

One process at a time writes here, and calls within it must not overlap: `Pools` holds its lock around them.

Every call raises `HostError` when the file system does not do as asked; the text never holds a path, for the paths
hold keys.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.content.blob import DIGEST
from node_agent.directories import SOCKET_NAME, RunDirectory
from node_agent.errors import HostError
from node_agent.pools.directory_state import DirectoryState
from node_agent.pools.steady_clock import SteadyClock
from tmpnb_common.keys import is_key, name_of

OPEN_MODE = 0o777
"""Until the socket is there: any user of any image must be able to make it."""
WANTED = "wanted"
"""In a claimed sandbox's directory: a link whose target is the digest of the blob that its visitor came for."""
FILLED = "filled"
"""Beside it: that blob's files are in the home."""
EMBEDDED = "embedded"
"""Likewise: it was claimed for live code in a page."""
SEALED_MODE = 0o755
"""From then on: the sandbox's code can neither replace the socket nor fill the directory."""


class Ledger:
    """Every rename, mark and removal below the run directory."""

    def __init__(self, run_dir: Path, clock: SteadyClock | None = None) -> None:
        """The ledger below `run_dir`, whose times are those of `clock`."""
        self._clock = clock or SteadyClock()
        run = RunDirectory(run_dir)
        self._ready, self._claimed, self._tickets, self._seen = run.ready, run.claimed, run.tickets, run.seen
        self._marks: dict[str, Path] = {}
        """Each claimed sandbox's mark, by key."""

    def prepare(self) -> None:
        """Make the directories and prove that a claim can work here.

        Raises:
            HostError: it cannot, and why.
        """
        with _on_disk("prepare the run directory"):
            for directory in (self._ready, self._claimed, self._tickets):
                directory.mkdir(exist_ok=True)
                # Passable, not readable: nginx looks for a key that it was given, nobody else may list them.
                directory.chmod(0o711)
            self._seen.mkdir(exist_ok=True)
            # nginx's workers, who make files here, are another user. Nobody else can pass the run directory.
            self._seen.chmod(0o733)
        probe, target = self._ready / ".probe", self._claimed / ".probe"
        try:
            probe.mkdir(exist_ok=True)
            probe.rename(target)
            target.rmdir()
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise HostError(
                    f"{self._ready} and {self._claimed} must lie on one mount, or no claim can work"
                ) from error
            raise HostError(f"the run directory cannot be used: {error}") from error

    def recover(self) -> None:
        """Finish claims that a crash interrupted, and forget the marks of sandboxes that are gone."""
        self._marks.clear()
        with _on_disk("recover the claims"):
            for mark in self._tickets.iterdir():
                key = mark.readlink().name
                if (self._ready / key).is_dir():
                    (self._ready / key).rename(self._claimed / key)
                if (self._claimed / key).is_dir():
                    self._marks[key] = mark
                else:
                    mark.unlink()
            claimed = {name_of(key) for key in self._marks}
            for seen in self._seen.iterdir():
                if seen.name not in claimed:
                    seen.unlink()

    def create(self, key: str) -> Path:
        """The directory for a sandbox that is about to start."""
        directory = self._ready / key
        with _on_disk("make a sandbox's directory"):
            directory.mkdir()
            # mkdir's mode is cut by the umask.
            directory.chmod(OPEN_MODE)
        return directory

    def seal(self, key: str) -> None:
        """Close the directory to the sandbox's code. Sealed also means: proven ready, over restarts too."""
        with _on_disk("close a sandbox's directory"):
            (self._ready / key).chmod(SEALED_MODE)

    def socket(self, key: str, *, claimed: bool) -> Path:
        return (self._claimed if claimed else self._ready) / key / SOCKET_NAME

    def ticket_holder(self, ticket: str) -> str | None:
        """The key of the sandbox that this ticket got, while it is there."""
        mark = self._mark(ticket)
        try:
            key = mark.readlink().name
        except FileNotFoundError:
            return None
        if (self._claimed / key).is_dir():
            return key
        mark.unlink()
        return None

    def claim(self, key: str, ticket: str, wanted: str = "", *, embedded: bool = False) -> float:
        """Make a ready sandbox the visitor's, and return the time of the claim.

        The ticket holds nothing that could be handed out again; a mark of it that is left is replaced. What is wanted
        in the home is noted first, so that a crash at any point loses either the whole claim or nothing of it.
        """
        mark, note, page = self._mark(ticket), self._ready / key / WANTED, self._ready / key / EMBEDDED
        with _on_disk("hand out a sandbox"):
            # Those of a claim that a crash cut off, or that was taken back.
            note.unlink(missing_ok=True)
            page.unlink(missing_ok=True)
            if wanted:
                note.symlink_to(wanted)
            if embedded:
                page.touch()
            mark.unlink(missing_ok=True)
            mark.symlink_to(Path("..") / self._claimed.name / key)
            now = self._clock.since_boot()
            try:
                os.utime(mark, (now, now), follow_symlinks=False)
                (self._ready / key).rename(self._claimed / key)
            except OSError:
                mark.unlink()
                raise
            self._marks[key] = mark
            return self._clock.read(mark.lstat().st_mtime)

    def mark_filled(self, key: str) -> None:
        """Note that what is wanted is in the home of a claimed sandbox."""
        with _on_disk("note that a home is filled"):
            (self._claimed / key / FILLED).touch()

    def visited(self, key: str) -> bool:
        """Whether the visitor of a claimed sandbox has come."""
        return (self._seen / name_of(key)).exists()

    def put_back(self, key: str) -> None:
        """Undo a claim: the sandbox is nobody's again, and its ticket holds nothing."""
        with _on_disk("take a sandbox back"):
            # First of all, so that nginx says "gone". A crash after this leaves a mark, by which it is claimed again.
            (self._claimed / key).rename(self._ready / key)
            if mark := self._marks.pop(key, None):
                mark.unlink(missing_ok=True)

    def directory_states(self) -> dict[str, DirectoryState]:
        """Every sandbox directory, by key. What is there and is none of ours is left alone."""
        found = {}
        with _on_disk("read the run directory"):
            for directory in (self._ready, self._claimed):
                for entry in os.scandir(directory):
                    if is_key(entry.name) and entry.is_dir(follow_symlinks=False):
                        sealed = not stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & 0o022
                        found[entry.name] = DirectoryState(
                            sealed,
                            self._claimed_at(entry.name, directory),
                            self.visited(entry.name),
                            self._wanted(Path(entry.path)) if directory == self._claimed else "",
                            (Path(entry.path) / FILLED).exists(),
                            (Path(entry.path) / EMBEDDED).exists(),
                        )
        return found

    def remove(self, key: str) -> None:
        """Forget a sandbox: its directory, so that nginx says "gone", and its mark. Gone already is fine."""
        with _on_disk("remove a sandbox's directory"):
            for directory in (self._claimed, self._ready):
                if (directory / key).is_dir():
                    shutil.rmtree(directory / key)
            if mark := self._marks.pop(key, None):
                mark.unlink(missing_ok=True)
            (self._seen / name_of(key)).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every sandbox directory and mark. What holds them stays: an agent may be at work on it."""
        with _on_disk("clear the run directory"):
            for directory in (self._ready, self._claimed, self._tickets, self._seen):
                for entry in directory.iterdir() if directory.is_dir() else ():
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink(missing_ok=True)
        self._marks.clear()

    def _wanted(self, directory: Path) -> str:
        try:
            noted = str((directory / WANTED).readlink())
        except OSError:
            return ""
        # With runtime process a sandbox could write there itself.
        return noted if DIGEST.fullmatch(noted) else ""

    def _mark(self, ticket: str) -> Path:
        return self._tickets / hashlib.sha256(ticket.encode()).hexdigest()

    def _claimed_at(self, key: str, directory: Path) -> float | None:
        if directory != self._claimed:
            return None
        mark = self._marks.get(key)
        # Moved by hand: there is no mark, and the directory's own time is the nearest thing to one.
        return self._clock.read((mark or directory / key).lstat().st_mtime)


@contextmanager
def _on_disk(deed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        if error.errno == errno.EXDEV:
            why = "ready/, user/ and tickets/ must lie on one mount"
        # Not chained: the cause's text holds a path, and a path holds a key.
        raise HostError(f"cannot {deed}: {why}") from None
