"""The state directory: what a fleet on this machine keeps between runs, and how other commands find it."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from redirector.local_fleet.errors import NotStartedError
from tmpnb_common import durable, secret_files

NODE_NAME = re.compile(r"n[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class FleetDirectory:
    """Paths below one state directory. `root` is absolute and free of symbolic links, so that it names one place."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> FleetDirectory:
        return cls(Path(path).resolve())

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def fleet(self) -> Path:
        """Says where the fleet's redirector listens."""
        return self.root / "fleet.json"

    @property
    def admin_token(self) -> Path:
        return self.root / "admin-token"

    @property
    def children(self) -> Path:
        """Which processes `tmpnb up` has started; gone when it has ended them."""
        return self.root / "children.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def node(self, name: str) -> Path:
        return self.root / "nodes" / name

    def node_token(self, name: str) -> Path:
        """Written by the node's agent at its first start."""
        return self.node(name) / "token"

    def known_nodes(self) -> list[str]:
        """The nodes that were ever started from here."""
        try:
            names = [path.name for path in (self.root / "nodes").iterdir()]
        except FileNotFoundError:
            return []
        return sorted((name for name in names if NODE_NAME.fullmatch(name)), key=lambda name: int(name[1:]))

    def prepare(self) -> None:
        """Create what is missing, for this user's eyes only.

        Raises:
            NotStartedError: it cannot be written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            for name in self.known_nodes():
                _probe(self.node(name))
            _probe(self.root)
        except OSError as problem:
            raise NotStartedError(f"the state directory {self.root} cannot be used: {problem.strerror}") from problem

    def ensure_admin_token(self) -> str:
        """The fleet's admin token, made at the first call.

        Raises:
            NotStartedError: it is there and cannot be read, or is empty.
        """
        if not self.admin_token.exists():
            write_durably(self.admin_token, f"{secrets.token_urlsafe(32)}\n")
        try:
            return secret_files.read(self.admin_token)[0]
        except secret_files.SecretFileError as problem:
            raise NotStartedError(f"{self.admin_token} {problem}; remove it and a new token is made") from problem

    def publish(self, url: str) -> None:
        write_durably(self.fleet, json.dumps({"url": url}) + "\n")

    def published_url(self) -> str | None:
        """Where the redirector listens, or did when it last ran; None if no fleet was ever started from here.

        Raises:
            PermissionError: the directory belongs to another user.
        """
        try:
            url = json.loads(self.fleet.read_text())["url"]
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None
        return url if isinstance(url, str) else None


def write_durably(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner alone, and on disk when this returns.

    Raises:
        NotStartedError: the disk did not take it.
    """
    try:
        durable.write_text(path, text, mode=0o600)
    except durable.FileError as problem:
        raise NotStartedError(str(problem)) from problem


def _probe(folder: Path) -> None:
    """Prove that files can be written: permission bits do not tell about read-only mounts and full disks."""
    file = folder / f".probe.{os.getpid()}"
    file.write_text("x")
    file.unlink()
