"""Where the templates of a program's pages come from: its own, or an operator's of the same name; and their style."""

from __future__ import annotations

from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PackageLoader

STYLE = Path(__file__).parent / "style"
"""The style sheets that the pages of both programs share."""


def loader(package: str, overrides: Path | None = None) -> BaseLoader:
    """The templates of a package; those in a directory of the operator's take their place, one by one."""
    own = [FileSystemLoader(overrides)] if overrides else []
    return ChoiceLoader([*own, PackageLoader(package), FileSystemLoader(STYLE)])
