"""Starts JupyterLab as `jupyter lab` does, for a quarter of the processor time and two thirds of the memory.

A node starts a server for every visitor, so what a server does at its start is what a node costs. Measured with
JupyterLab 4.6 until its first page is served, on a machine with Node.js: 1.9 s of processor time and 79 MB before,
0.45 s and 50 MB with everything here. Each measure below says what it saves and why nobody misses it.

It also has the server copy files into the home when the agent asks for it (`fill`).

This file stands alone, on the standard library and JupyterLab only: the process runtime runs it, and an image that
wants it copies it to where its `jupyter-lab` was. Arguments are those of `jupyter lab`, and win over `CHEAP`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

FORMAT_CHECKERS = ("rfc3987_syntax", "isoduration", "rfc3986_validator")
"""Modules that jsonschema takes along if they are there, to check texts of the formats iri, duration and uri.

rfc3987_syntax builds a grammar at every import: 1.0 s and 16 MB, half of all that a start costs. The others bring a
date library and large regular expressions: 0.03 s and 2 MB. In a Jupyter server jsonschema checks the server's own
events and notebooks' structure, neither of which uses these formats. Kernels are other processes, and have them."""

PYPI = "jupyterlab.extensions.pypi"
"""The part of JupyterLab's extension manager that installs from PyPI, with an HTTP client: 0.06 s and 8 MB.

`CHEAP` selects the manager that only lists what is installed. Whoever selects `pypi` again gets it, imported then."""

OWN = "tmpnb_home"
"""The name under which the server finds this module as an extension."""

CHEAP = (
    # What was just said: in a sandbox there is neither a network to install from nor a place to install to.
    "--LabApp.extension_manager=readonly",
    # What is below here, `_load_jupyter_server_extension`.
    f"--ServerApp.jpserver_extensions={OWN}=True",
    # Finds server extensions of the time before Jupyter Server, by trying every property of the server: 0.03 s, 3 MB.
    # Notebook 7 uses its classes and not this extension.
    "--ServerApp.jpserver_extensions=notebook_shim=False",
    # Looks for two dozen language servers, also through npm: 0.05 s, or 0.2 s where there is an npm. An image that
    # brings language servers adds --LanguageServerManager.autodetect=True to its command.
    "--LanguageServerManager.autodetect=False",
)
"""Configuration that the arguments can overrule."""


def main(argv: list[str]) -> Any:
    """Run `jupyter lab` with these arguments until it ends; the result is for `sys.exit`."""
    substitutes: dict[str, ModuleType | None] = {**dict.fromkeys(FORMAT_CHECKERS), PYPI: _postponed_pypi()}
    with _substituted(substitutes), _without_node():
        labapp = importlib.import_module("jupyterlab.labapp")
    sys.modules[OWN] = sys.modules[__name__]
    sys.argv[1:] = arguments(argv)
    return labapp.main()


def arguments(given: list[str]) -> list[str]:
    """What JupyterLab is called with: `CHEAP` without what is given otherwise, for it takes each option once."""
    if given and not given[0].startswith("-"):
        # A subcommand, such as `path`, has to stay the first word.
        return given
    names = [option.rpartition("=")[0] + "=" for option in CHEAP]
    kept = [
        option for option, name in zip(CHEAP, names, strict=True) if not any(word.startswith(name) for word in given)
    ]
    return [*kept, *given]


def fill(source: str, home: str) -> int:
    """Copy the files below `source` into `home`, links as links, and return how many; what is there already stays.

    A file appears whole or not at all. Everything happens with the rights of the server, which are those of its user.

    Raises:
        OSError: a directory cannot be read, or the home is full.
    """
    count = 0
    for root, directories, files in os.walk(source):
        place, target = Path(root), Path(home) / Path(root).relative_to(source)
        target.mkdir(parents=True, exist_ok=True)
        for name in (*files, *(name for name in directories if (place / name).is_symlink())):
            count += _copy(place / name, target / name)
    return count


def _copy(source: Path, target: Path) -> bool:
    if os.path.lexists(target):
        return False
    # Hidden, for the file browser shows the home meanwhile.
    unfinished = target.with_name(f".tmpnb-{os.getpid()}-{threading.get_ident()}")
    try:
        shutil.copy(source, unfinished, follow_symlinks=False)
        # Unlike a rename, never in the place of a file that appeared meanwhile.
        os.link(unfinished, target, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    return True


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": OWN}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Let the server copy files into its home when it is asked to, at `tmpnb/fill`.

    Anybody who can ask the server can read and write all that it can, so that there is nothing to protect here.
    """
    base = importlib.import_module("jupyter_server.base.handlers")
    web = importlib.import_module("tornado.web")

    class FillHandler(base.APIHandler):  # type: ignore[misc, name-defined] # imported only where there is a server
        @web.authenticated  # type: ignore[untyped-decorator]
        async def post(self) -> None:
            body = self.get_json_body() or {}
            loop = asyncio.get_running_loop()
            try:
                count = await loop.run_in_executor(None, fill, str(body["source"]), server.root_dir)
            except (OSError, KeyError) as error:
                self.set_status(507)
                self.finish({"message": getattr(error, "strerror", None) or repr(error)})
            else:
                self.finish({"copied": count})

    server.web_app.add_handlers(".*$", [(f"{server.base_url}tmpnb/fill", FillHandler)])


@contextmanager
def _substituted(substitutes: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Let imports find these modules instead of the real ones; None stands for a module that is not installed.

    Only within: an extension of the server that imports one of them later gets the real one.
    """
    added = {name: module for name, module in substitutes.items() if name not in sys.modules}
    sys.modules.update(added)  # type: ignore[arg-type] # the import system reads None as "not there"
    try:
        yield
    finally:
        for name in added:
            sys.modules.pop(name, None)


def _postponed_pypi() -> ModuleType:
    """Stands for `PYPI` while JupyterLab is imported, and imports it when such a manager is really made."""

    def manager(*arguments: Any) -> Any:
        return importlib.import_module(PYPI).PyPIExtensionManager(*arguments)

    stand_in = ModuleType(PYPI)
    vars(stand_in)["PyPIExtensionManager"] = manager
    return stand_in


@contextmanager
def _without_node() -> Iterator[None]:
    """Hide Node.js while JupyterLab is imported: where there is one, that runs `yarn config`, 0.3 s of processor time.

    It asks which registry to build extensions from; nothing is built here, and the default stands when asked later.
    """
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = "/nonexistent"
    try:
        yield
    finally:
        os.environ["PATH"] = path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
