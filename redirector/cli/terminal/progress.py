"""What `tmpnb up` shows: a progress bar on a terminal, plain lines elsewhere, and what to do next on stdout."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redirector.cli.terminal.texts import plain
from redirector.local_fleet.enrolment import Warmth
from redirector.local_fleet.reporter import FleetReady

LINE_SECONDS = 5.0
"""Between two plain lines about the same progress."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Raise as any other failed write does, instead of ending the program in the middle of its clean-up."""
        raise BrokenPipeError


class Screen:
    """A `Reporter` for people. The terminal may go away at any time; then it says nothing more."""

    def __init__(self, command: Callable[..., str], clock: Callable[[], float] = time.monotonic) -> None:
        """Write what to try with `command`, which makes a line to type from the words after `tmpnb`."""
        self._command = command
        self._clock = clock
        self._terminal = _Terminal(stderr=True)
        self._bar: Progress | None = None
        self._said: Warmth | None = None
        self._said_at = 0.0

    def note(self, text: str) -> None:
        self._end_bar()
        _write(text, err=True)

    def warn(self, text: str) -> None:
        self._end_bar()
        _write(f"warning: {text}", err=True)

    def warming(self, warmth: Warmth) -> None:
        with suppress(OSError):
            if self._terminal.is_terminal:
                self._draw(warmth)
            else:
                self._tell(warmth)

    def announce(self, announcement: FleetReady) -> None:
        self._end_bar()
        width = max(len("entry"), *(len(name) for name, _ in announcement.nodes))
        first = announcement.nodes[0][0]
        lines = [
            "",
            "The fleet is up. Open the first of these in a browser; Ctrl-C here ends everything.",
            "Each notebook is a container without a network."
            if announcement.isolated
            else "Its notebooks are plain processes of this machine, which isolate nothing: let no strangers in.",
            "",
            *([f"  {'open':{width}}  {announcement.demo_url}"] if announcement.demo_url else []),
            f"  {'entry':{width}}  {announcement.entry_url}",
            *(f"  {name:{width}}  {url}" for name, url in announcement.nodes),
            "",
            "Try next, in another terminal:",
            "",
            f"  {self._command('status')}",
            f"  {self._command('node', 'drain', first)}",
            f"  curl -i {announcement.entry_url}",
            "",
        ]
        for line in lines:
            _write(line)

    def _draw(self, warmth: Warmth) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("warming the pools"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("sandboxes"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[problem]}", style="yellow", markup=False),
                console=self._terminal,
                auto_refresh=False,  # A thread that draws could not be kept from failing when the terminal goes.
                transient=True,
            )
            self._bar.add_task("", total=warmth.wanted, problem="")
            self._bar.start()
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=warmth.ready, total=warmth.wanted, problem=plain(warmth.problem)[:80])
        self._bar.refresh()
        if warmth.complete:
            self._end_bar()
            self._tell(warmth)

    def _tell(self, warmth: Warmth) -> None:
        """Say a line about progress, but neither the same again nor one for every sandbox."""
        if self._said == warmth or (self._clock() - self._said_at < LINE_SECONDS and not warmth.complete):
            return
        self._said, self._said_at = warmth, self._clock()
        problem = f": {plain(warmth.problem)}" if warmth.problem else ""
        _write(f"{warmth.ready} of {warmth.wanted} sandboxes ready{problem}", err=True)

    def _end_bar(self) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()
            self._bar = None


def _write(text: str, *, err: bool = False) -> None:
    with suppress(OSError):
        click.echo(text, err=err)
