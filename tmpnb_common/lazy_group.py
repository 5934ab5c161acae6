"""Commands that are imported when they are called: `--help`, completion and health checks should not wait for a server.

Both programs' command lines stand on this.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click


class Later(click.Command):
    """Stands for a command until it is called: its name, and the line that the group's help has for it."""

    def __init__(self, name: str, module: str, attribute: str, line: str) -> None:
        super().__init__(name, short_help=line)
        self._module = module
        self._attribute = attribute

    def load(self) -> click.Command:
        """Import the command itself."""
        found = getattr(import_module(self._module), self._attribute)
        assert isinstance(found, click.Command), self._attribute
        return found


class LazyGroup(click.Group):
    """A group that knows its commands by a table, and imports only the one that is called."""

    def add_later(self, package: str, table: Mapping[str, tuple[str, str]]) -> None:
        """Add commands.

        Args:
            package: what their modules are in.
            table: by name the module and attribute, as `module:attribute`, and the line for the group's help.
        """
        for name, (place, line) in table.items():
            module, _, attribute = place.partition(":")
            self.add_command(Later(name, f"{package}.{module}", attribute, line))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Later) else command, rest
