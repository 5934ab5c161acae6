"""Where visitors land who ask for no page: what a pool's setting names, as far as its sandboxes have that.

An image without the notebook that the setting names would greet every visitor with JupyterLab's "could not be found".
So a sandbox is asked for it before anybody gets one, once for each image.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node_agent.pools.specs import PoolSpec

OPENS_A_FILE = re.compile(
    r"(?P<page>/(?:lab(?:/workspaces/[^/]+)?/tree|doc/tree|tree|notebooks|edit))/(?P<file>[^?#]+)"
)
"""A landing page that opens what it names."""

IN_THE_LAB = re.compile(r"/lab/tree/(?P<rest>[^?#]+\.ipynb(?:[?#].*)?)")
"""A notebook in JupyterLab. Notebook 7 shows the same one, alone, at a page of its own."""

WITHOUT_FILE = {"/tree": "/tree", "/doc/tree": "/lab", "/notebooks": "/tree", "/edit": "/tree"}
"""Where one goes instead; from any other page to what stands before its `/tree`."""

OK, NOT_FOUND = 200, 404


@dataclass(frozen=True, slots=True)
class Landing:
    """What the sandboxes of one pool offer to whoever comes."""

    page: str
    """The path and query for visitors who ask for none."""
    notebooks: bool = False
    """Whether they have Notebook 7's page for a notebook alone, which a phone has room for."""

    def path(self, wanted: str, *, phone: bool) -> str:
        """Return the path and query inside the sandbox for a visitor who wants this one, or none."""
        path = wanted or self.page
        notebook = IN_THE_LAB.fullmatch(path) if phone and self.notebooks else None
        return path if notebook is None else f"/notebooks/{notebook['rest']}"


@dataclass(frozen=True, slots=True)
class _Observed:
    spec: tuple[str, str]
    """Of which image and landing page it was seen."""
    landing: Landing


class Landings:
    """Remembers what each pool's sandboxes offer. Safe to use from several threads."""

    def __init__(self, status: Callable[[Path, str], int]) -> None:
        """`status` asks the server behind a socket for a page and returns its status, 0 without an answer."""
        self._status = status
        self._lock = threading.Lock()
        self._observed: dict[str, _Observed] = {}

    def of(self, spec: PoolSpec) -> Landing:
        """Return where the visitors of a pool land."""
        observed = self._observed.get(spec.name)
        if observed is not None and observed.spec == _identity(spec):
            return observed.landing
        return Landing(spec.landing)

    def observe(self, spec: PoolSpec, socket: Path, base_path: str) -> None:
        """Ask a sandbox that serves and is nobody's yet, unless one of the same image was asked before."""
        observed = self._observed.get(spec.name)
        if observed is not None and observed.spec == _identity(spec):
            return
        opens = OPENS_A_FILE.match(spec.landing)
        there = OK if opens is None else self._status(socket, f"{base_path}api/contents/{opens['file']}?content=0")
        tree = self._status(socket, f"{base_path}tree")
        if there and tree:
            page = without_file(spec.landing) if there == NOT_FOUND else spec.landing
            with self._lock:
                self._observed[spec.name] = _Observed(_identity(spec), Landing(page, notebooks=tree == OK))


def without_file(landing: str) -> str:
    """Return the page that a landing page is without the file that it opens."""
    opens = OPENS_A_FILE.match(landing)
    return landing if opens is None else WITHOUT_FILE.get(opens["page"], opens["page"].removesuffix("/tree"))


def _identity(spec: PoolSpec) -> tuple[str, str]:
    return spec.image, spec.landing
