"""The same act on several names: each has an outcome of its own, and all together one exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import click

from redirector.admin_api.errors import AdminError, RefusedError
from redirector.admin_api.views import NodeView
from redirector.cli.terminal.exits import Exit, combined, stop_of
from redirector.cli.terminal.texts import plain


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one name."""

    name: str
    status: str
    """`done`, `already`, or a problem's code."""
    message: str
    exit_code: Exit = Exit.DONE
    node: NodeView | None = None

    def dump(self) -> dict[str, object]:
        """As JSON-ready values."""
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "node": self.node,
        }


def attempt(name: str, act: Callable[[str], Outcome]) -> Outcome:
    try:
        return act(name)
    except AdminError as problem:
        stop = stop_of(problem)
        status = problem.code if isinstance(problem, RefusedError) else stop.exit_code.name.lower()
        # Whatever is said of it is said behind its name.
        return Outcome(name, status, str(stop).removeprefix(f"{name} "), stop.exit_code)


def on_each(names: Iterable[str], act: Callable[[str], Outcome], say: Callable[[Outcome], None]) -> list[Outcome]:
    """Act on every name once, in turn, and say what became of it as it happens; problems are said on stderr."""
    outcomes = []
    for name in dict.fromkeys(names):
        outcome = attempt(name, act)
        outcomes.append(outcome)
        if outcome.exit_code == Exit.DONE:
            say(outcome)
        else:
            click.echo(f"Error: {plain(outcome.name)}: {plain(outcome.message)}", err=True)
    return outcomes


def say_line(outcome: Outcome) -> None:
    click.echo(f"{plain(outcome.name)}: {plain(outcome.message)}")


def say_nothing(outcome: Outcome) -> None:
    """Keep stdout for the JSON that follows."""


def leave(outcomes: Iterable[Outcome]) -> None:
    """End the command with the exit code that the outcomes come to."""
    code = combined([outcome.exit_code for outcome in outcomes])
    if code != Exit.DONE:
        sys.exit(code)
