"""Images on a Docker Engine: what a sandbox has to know of one, and fetching those that are missing.

Nothing here talks to an engine by itself: what it needs of one is passed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from node_agent.errors import EngineError
from node_agent.runtimes.contract import ImageState
from node_agent.runtimes.docker.container import TMP, Account
from node_agent.runtimes.docker.limits import MIB, DockerLimits
from tmpnb_common.keys import redact

ORDINARY_USER = 1000
HOME = "/home/visitor"
"""For images that run as root: the home of their root is none for a visitor."""

QUIET_SECONDS = 30.0
"""After so long without a word of a pull it is said."""
AGAIN_SECONDS = 60.0
"""After a pull that failed. A registry that is asked more often only gets slower."""
STALLED_SECONDS = 600.0
"""A pull that says nothing for so long is given up on."""


def account(config: Mapping[str, Any], limits: DockerLimits, passwd: Callable[[], str]) -> Account:
    """Whom an image's sandboxes run as. `config` is the image's; `passwd`, read only if needed, its /etc/passwd."""
    environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or [])
    user, _, group = (limits.user or str(config.get("User") or "")).partition(":")
    if user.isdigit() and (group.isdigit() or not group) and "HOME" in environment:
        return _unless_root(int(user), int(group or user), environment["HOME"])
    for entry in passwd().splitlines() if user else []:
        name, _, uid, gid, _, home, *_ = [*entry.split(":"), *[""] * 6]
        if user in (name, uid) and uid.isdigit() and gid.isdigit():
            return _unless_root(int(uid), int(group if group.isdigit() else gid), environment.get("HOME", home))
    if user.isdigit():
        return _unless_root(int(user), int(group) if group.isdigit() else int(user), environment.get("HOME", HOME))
    if user and user != "root":
        raise EngineError(f"the image runs as user {user!r:.40}, who is not in its /etc/passwd")
    return Account(ORDINARY_USER, ORDINARY_USER, HOME)


def _unless_root(uid: int, gid: int, home: str) -> Account:
    if uid == 0:
        return Account(ORDINARY_USER, ORDINARY_USER, HOME)
    return Account(uid, gid, home if home.startswith("/") and home.strip("/") else HOME)


def refuse_volumes(image: str, config: Mapping[str, Any], limits: DockerLimits, home: str) -> None:
    """Every volume that an image declares has to be covered by something of ours.

    The engine would give it a directory on the host's disk, writable and without a limit.
    """
    covered = {home, TMP, *(mount.target for mount in limits.mounts)}
    for path in sorted(config.get("Volumes") or {}):
        if path.rstrip("/") not in covered:
            raise EngineError(
                f"image {image} declares the volume {path}, which would let sandboxes fill the host's disk; "
                "build it without, or mount something there"
            )


@dataclass(slots=True)
class Progress:
    """How far a pull has come, layer by layer."""

    done: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)

    def note(self, event: Mapping[str, Any]) -> None:
        detail = event.get("progressDetail") or {}
        layer = str(event.get("id", ""))
        if event.get("status") == "Downloading" and detail.get("total"):
            self.done[layer], self.total[layer] = int(detail.get("current", 0)), int(detail["total"])
        elif event.get("status") in ("Download complete", "Pull complete") and layer in self.total:
            self.done[layer] = self.total[layer]

    def __str__(self) -> str:
        total = sum(self.total.values())
        return f"{sum(self.done.values()) * 100 // total} % of {total / MIB:.0f} MiB" if total else "just begun"


@dataclass(slots=True)
class _Pull:
    heard: float
    progress: Progress = field(default_factory=Progress)
    failure: str = ""
    failure_before: str = ""
    """Of the try before, which stands until this one has come further than a question."""

    @property
    def problem(self) -> str:
        return self.failure or ("" if self.progress.total else self.failure_before)


class ImagePulls:
    """Fetches missing images, each in a thread of its own, so that nobody waits for one."""

    def __init__(
        self, pull: Callable[[str], Iterable[Mapping[str, Any]]], clock: Callable[[], float], *, allowed: bool = True
    ) -> None:
        """`pull` begins a pull and yields the engine's messages; it may raise `EngineError`."""
        self._pull = pull
        self._clock = clock
        self._allowed = allowed
        self._pulls: dict[str, _Pull] = {}
        self._lock = threading.Lock()

    def state(self, image: str) -> ImageState:
        """How far this image is, which is not there. Asking begins to fetch it, or tries again when it is time."""
        if not self._allowed:
            return ImageState(there=False, problem=f"image {image} is not on this host, and pulling is switched off")
        with self._lock:
            current = self._pulls.get(image)
            now = self._clock()
            if current is None or now - current.heard >= (AGAIN_SECONDS if current.failure else STALLED_SECONDS):
                current = self._pulls[image] = _Pull(now, failure_before=current.problem if current else "")
                threading.Thread(target=self._run, args=(image, current), name="pull", daemon=True).start()
            if current.problem:
                problem = f"image {image} is not on this host and cannot be pulled: {current.problem}"
                return ImageState(there=False, problem=problem)
            quiet = now - current.heard
            progress = f"{current.progress}, nothing for {quiet:.0f} s" if quiet >= QUIET_SECONDS else current.progress
            return ImageState(there=False, progress=str(progress))

    def reason(self, image: str) -> str:
        """The same in a sentence: why no sandbox of this image starts."""
        state = self.state(image)
        return state.problem or f"image {image} is being pulled: {state.progress}"

    def _run(self, image: str, this: _Pull) -> None:
        try:
            for event in self._pull(image):
                with self._lock:
                    if self._pulls.get(image) is not this:
                        return
                    this.heard = self._clock()
                    this.progress.note(event)
                    if "error" in event:
                        this.failure = redact(str(event["error"]))
                        return
        except EngineError as error:
            with self._lock:
                this.heard, this.failure = self._clock(), str(error)
        else:
            with self._lock:
                if self._pulls.get(image) is this:
                    del self._pulls[image]
