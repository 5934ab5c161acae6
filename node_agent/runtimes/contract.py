"""What the agent asks of whatever runs sandboxes: Docker, local processes, or the fake of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node_agent.assets.browser_files import BrowserFiles


@dataclass(frozen=True, slots=True)
class Launch:
    """One sandbox to start.

    Its Jupyter server has to listen on `directory/jupyter.sock` under the base URL `/user/<key>/`. The directory
    exists, is world-writable until the socket has appeared, and may be renamed at any time after.
    """

    name: str
    """Public: labels, logs, CLI, API."""
    key: str
    """Secret: never in a label, a log or an error."""
    pool: str
    image: str
    directory: Path
    command: str
    """The template of the command that starts its server."""
    landing: str
    """The page that the server sends visitors to who ask for none."""
    static: str = ""
    """The address of the browser files that all sandboxes of the image share; empty: it serves them itself."""
    contents: Path | None = None
    """The directory of the node's blobs, which a sandbox may read at the same path; None: there is none."""
    content: str = ""
    """The digest of the blob whose files are in the home before the server starts; empty: none."""

    @property
    def filling(self) -> Path | None:
        """The directory whose files are in the home before the server starts."""
        return self.contents / self.content / "home" if self.contents and self.content else None


@dataclass(frozen=True, slots=True)
class ImageState:
    """Whether sandboxes of an image can start here."""

    there: bool
    progress: str = ""
    """Of one that is being fetched: how far that has come, in words."""
    problem: str = ""
    """Why it is not there and does not come; it is tried again by itself. Empty while it is fetched."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One container or process tree that bears this node's label, as observed."""

    name: str
    pool: str
    image: str
    created_at: float
    """Seconds since 1970."""
    alive: bool
    detail: str = ""
    """Of one that is not alive: how it ended, such as `exit code 1` or `out of memory`."""
    content: str = ""
    """The digest of the blob that its home was made with; empty: none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a sandbox uses of its host."""

    memory: int = 0
    """Bytes that it uses now, files in it included."""
    processor_seconds: float | None = None
    """That all its processes have used since it started; None: unknown."""


class Runtime(Protocol):
    """Runs sandboxes. Calls may come from several threads at once.

    Every call raises `errors.EngineError`, with a reason fit for an operator's eyes, when the engine does not do as
    asked.
    """

    def image_state(self, image: str) -> ImageState:
        """Whether an image is there. One that is not begins to be fetched, and nobody waits for that."""

    def start(self, launch: Launch) -> None:
        """Start a sandbox and return once it exists; whether it is ready shows at its socket."""

    def instances(self) -> list[Instance]:
        """Everything of this node, alive or ended but not yet removed."""

    def end(self, name: str) -> None:
        """End a sandbox and remove what it left; one that is gone already is a success."""

    def log_tail(self, name: str) -> str:
        """The end of its log, bounded, for saying why it did not start; empty where there is none."""

    def usage(self, name: str) -> Usage:
        """What a sandbox uses; nothing where that cannot be said."""

    def runs_program(self, name: str) -> bool:
        """Whether a program runs in the foreground of a sandbox's terminals."""

    def browser_files(self, image: str) -> BrowserFiles | None:
        """What an image holds for browsers; None where that cannot be shared, as in an image without JupyterLab."""

    def hides(self, directory: Path) -> str:
        """Why sandboxes would not see a directory of this host at its path, in words; empty: they would."""

    def tidy(self) -> None:
        """Remove what was made for sandboxes and none uses any more."""

    def check(self) -> None:
        """Prove that the engine answers."""
