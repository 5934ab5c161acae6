"""Watch nodes drain: a live line with the sessions that are left, and until when at the latest."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Collection, Sequence

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.views import NodeView
from redirector.cli.fleet.watch import Watch
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.texts import plain, span
from redirector.cli.terminal.times import clock_time


def watch_drain(watch: Watch, names: Collection[str]) -> list[str]:
    """Watch until all of them are drained.

    Returns:
        The names of those that have sessions left when the time is up; none if all are drained.

    Raises:
        Stop: somebody resumed one of them, so that waiting makes no sense.
    """
    line = _Line()
    left: list[NodeView] = []
    try:
        while True:
            nodes = watch.look(AdminClient.nodes)
            if nodes is not None:
                found = [node for node in nodes if node.name in names]
                _refuse_resumed(found)
                left = [node for node in found if not node.drained]
                if not left:
                    # Somebody may restart the host now: so the nodes themselves have the last word.
                    left = [node for node in _ask_again(watch, found) if not node.drained or node.claimed]
                line.show(progress(left, time.time()))
                if not left:
                    return []
            if not watch.pause():
                return [node.name for node in left] or sorted(names)
    except KeyboardInterrupt:
        raise Stop("stopped watching; the drain goes on", Exit.INTERRUPTED) from None
    finally:
        line.end()


def progress(left: Sequence[NodeView], now: float) -> str:
    """How far it is, in one line."""
    if not left:
        return "drained, no session is left"
    words = []
    for node in left:
        ends = f", over by {clock_time(node.last_end, now)} at the latest" if node.last_end else ""
        unheard = " (does not answer)" if node.health == "down" else ", not yet told" if node.pending else ""
        words.append(f"{plain(node.name)}: {sessions_left(node)}{ends}{unheard}")
    return "; ".join(words)


def sessions_left(node: NodeView) -> str:
    """How many sessions a node has, by itself; where it does not answer, since when that is known."""
    count = {0: "no sessions", 1: "1 session"}.get(node.claimed, f"{node.claimed} sessions")
    if node.current and not node.unanswered:
        return f"{count} left"
    if node.stats_age_seconds is None:
        return "nobody knows of how many sessions, it has never answered"
    age = node.stats_age_seconds
    return f"{count} left {'a moment' if age < 1 else span(age)} ago"


def _ask_again(watch: Watch, nodes: Sequence[NodeView]) -> list[NodeView]:
    asked = watch.look(lambda client: [client.node(node.name) for node in nodes])
    return list(nodes) if asked is None else asked


def _refuse_resumed(nodes: Sequence[NodeView]) -> None:
    for node in nodes:
        if node.intent != "draining":
            by = f" by {plain(node.intent_by)}" if node.intent_by else ""
            raise Stop(f"{plain(node.name)} was resumed{by} meanwhile: it takes visitors again", Exit.FAILED)


class _Line:
    """On a terminal one line that changes, elsewhere one for each change; always on stderr."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        if text == self._shown:
            return
        self._shown = text
        if self._terminal:
            # What ran over into a second line could not be drawn over.
            room = shutil.get_terminal_size().columns - 1
            shown = text if len(text) <= room else f"{text[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
            click.echo(f"\r\033[K{shown}", err=True, nl=False)
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        if self._terminal and self._shown:
            click.echo(err=True)
