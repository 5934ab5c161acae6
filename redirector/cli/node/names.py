"""The same act on nodes that are named on the command line; a name that nobody has gets a hint."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import RefusedError
from redirector.cli.terminal.results import Outcome, on_each, say_line, say_nothing
from redirector.cli.terminal.tables import print_json

FEW = 12
"""So many names can be listed; of more, those that look alike."""


def change(names: tuple[str, ...], act: Callable[[str], Outcome], *, as_json: bool) -> list[Outcome]:
    """Act on each and say what became of it."""
    outcomes = on_each(names, act, say_nothing if as_json else say_line)
    if as_json:
        print_one_or_all(names, [outcome.dump() for outcome in outcomes])
    return outcomes


def print_one_or_all(names: tuple[str, ...], dumps: Sequence[object]) -> None:
    """An object for one name, an array for several."""
    if len(names) > 1:
        print_json(dumps)
    elif dumps:
        print_json(dumps[0])


def hinting(client: AdminClient, act: Callable[[str], Outcome]) -> Callable[[str], Outcome]:
    """Let a refusal of an unknown name say which names there are."""

    def hinted(name: str) -> Outcome:
        try:
            return act(name)
        except RefusedError as refusal:
            if refusal.code != "unknown_node":
                raise
            raise RefusedError(refusal.code, hint(name, [node.name for node in client.nodes()])) from refusal

    return hinted


def hint(name: str, names: Sequence[str]) -> str:
    """What to say about a name that no node has.

    A part of a name never stands for all of it: `remove n1` must not become the end of n10 once n1 is gone.
    """
    if len(names) <= FEW:
        return f"no such node; there are: {', '.join(names) or 'none yet'}"
    near = [each for each in names if each.startswith(name)][:5] or difflib.get_close_matches(name, names, n=5)
    return "no such node" + (f"; did you mean {' or '.join(near)}?" if near else f" among {len(names)}")
