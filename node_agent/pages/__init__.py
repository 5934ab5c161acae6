"""The pages that a node shows to people, and the script that it adds to those of its sandboxes.

nginx serves some of them from files, so that it needs no agent then. A directory of the operator's own templates
overrides ours one by one: each takes what ours of the same name takes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateError

from node_agent import files
from node_agent.errors import HostError
from tmpnb_common.templates import loader

log = logging.getLogger("pages")

STATIC = ("gone", "broken", "cookies")
"""Pages that nginx serves from files."""

_OF_SANDBOX = ("stores", "presence", "archive", "documents", "home", "actions", "notice", "label", "ending", "main")

SCRIPTS = {"sandbox": tuple(f"sandbox/{part}" for part in _OF_SANDBOX), "info": ("info",)}
"""Added to sandboxes' pages, and the one of /info, with the files that each is made of."""


class Pages:
    """The templates, ours and the operator's."""

    def __init__(self, entry_url: str, overrides: Path | None = None) -> None:
        self._entry_url = entry_url
        self._ours = _environment(loader(__name__))
        self._all = _environment(loader(__name__, overrides))

    def render(self, page: str, **values: Any) -> str:
        """The page of this name; ours where the operator's fails, for somebody is waiting to see one."""
        try:
            return self._fill(self._all, page, values)
        except HostError as error:
            log.error("%s; showing the page that comes with the program", error)  # noqa: TRY400 - it says all
            return self._fill(self._ours, page, values)

    def _fill(self, environment: Environment, page: str, values: Mapping[str, Any]) -> str:
        try:
            return environment.get_template(f"{page}.html").render(entry_url=self._entry_url, **values)
        except (TemplateError, OSError) as error:
            raise HostError(f"the template {page}.html cannot be used: {error}") from error

    def write(self, directory: Path) -> None:
        """Write down what nginx serves by itself.

        Raises:
            HostError: one of the operator's templates cannot be used, and why.
        """
        # All of them are read once, so that what is wrong with one shows now and not to the first visitor who meets it.
        for name in self._all.list_templates(["html"]):
            self._compile(name)
        directory.mkdir(exist_ok=True)
        # nginx's workers read them as another user.
        directory.chmod(0o755)
        for page in STATIC:
            files.write_text(directory / f"{page}.html", self._fill(self._all, page, {}))
        for name in SCRIPTS:
            # Under the name in its address, so that there is no other content at any other one. Those before stay.
            files.write_text(directory / script_path(name).rpartition("/")[2], script(name))

    def _compile(self, name: str) -> Template:
        try:
            return self._all.get_template(name)
        except (TemplateError, OSError) as error:
            raise HostError(f"the template {name} cannot be used: {error}") from error


def _environment(templates: BaseLoader) -> Environment:
    return Environment(loader=templates, autoescape=True, trim_blocks=True, undefined=StrictUndefined)


def script(name: str) -> str:
    """The script's text. Several files are parts of one function: they see each other's names, and pages see none."""
    files = resources.files(__name__)
    parts = [files.joinpath(f"{part}.js").read_text(encoding="utf-8") for part in SCRIPTS[name]]
    if len(parts) == 1:
        return parts[0]
    return "\n".join(['(() => {\n"use strict";\n', *parts, "})();\n"])


def script_path(name: str) -> str:
    """Where nginx serves a script: another address for every other content, so that browsers may keep it for ever."""
    return f"/-/{name}.{hashlib.sha256(script(name).encode()).hexdigest()[:16]}.js"
