"""`tmpnb roll`: the fleet's nodes move to another image, a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError
from redirector.admin_api.views import NodeView
from redirector.cli.fleet.options import ClientFactory, beside_a_fleet, every_option, reason_option
from redirector.cli.fleet.watch import Watch
from redirector.cli.terminal.exits import Exit, Stop, stop_of
from redirector.cli.terminal.texts import examples, plain
from redirector.plans.rolling import Move, Plan, arrived, plan, replaced, stuck

PROGRESS_SECONDS = 10.0
"""Between two lines about an image that is being fetched."""


@click.command(
    epilog=examples(
        "tmpnb roll ghcr.io/example/notebook:2026.12",
        "tmpnb roll ghcr.io/example/notebook:2026.12 --at-once 3 --reason security",
        "tmpnb roll ghcr.io/example/notebook:2026.12 --back",
    )
)
@beside_a_fleet
@click.argument("image")
@click.option("--pool", default="default", show_default=True, metavar="NAME", help="Of every node.")
@click.option(
    "--at-once", type=click.IntRange(1, 50), default=1, show_default=True, metavar="N", help="Nodes at the same time."
)
@click.option("--back", is_flag=True, help="Leave IMAGE: every node returns to what it had before.")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="For each node, pulling the image included.",
)
@reason_option
@every_option
def roll(
    source: ClientFactory, *, image: str, pool: str, at_once: int, back: bool, timeout: float, reason: str, every: float
) -> None:
    """Move the pools of all nodes to IMAGE, which no visitor notices: sessions go on with what they have.

    Every node proves by a selftest that IMAGE works before the next one follows. At the first failure it stops; run it
    again to go on from there, or with --back to return.
    """
    rolling = _Rolling(source, pool, every, timeout, reason)
    client = source.open()
    nodes = client.nodes()
    made = plan(nodes, pool, image, back=back)
    if not back:
        _agree(client, nodes, pool, image)
    for name, why in made.left_out:
        click.echo(f"warning: {plain(name)} {plain(why)}, and is left out", err=True)
    try:
        _carry_out(rolling, made, at_once)
    except Stop as stop:
        way = f"tmpnb roll {image} --pool {pool}"
        hint = f"to go on: {way} --back" if back else f"to go on: {way}; the way back: {way} --back"
        raise Stop(f"{stop}\n{hint}", stop.exit_code) from stop
    if not made.moves:
        click.echo("nothing to do")
    if made.left_out and made.moves:
        raise Stop("some nodes were left out", Exit.PARTLY)


def _agree(client: AdminClient, nodes: Sequence[NodeView], pool: str, image: str) -> None:
    """Let the fleet want what nodes have already, be it by their own settings."""
    for node in nodes:
        if node.health != "down" and pool in node.pools and node.pools[pool].image == image:
            client.put_image(node.name, pool, image)


def _carry_out(rolling: _Rolling, made: Plan, at_once: int) -> None:
    """Batch after batch, each only after the one before has proven itself.

    Raises:
        Stop: a node failed. Those of its batch were waited for, no other was touched.
    """
    for start in range(0, len(made.moves), at_once):
        batch = made.moves[start : start + at_once]
        failures = rolling.move_all(batch)
        if failures:
            done = start + len(batch) - len(failures)
            text = "\n".join(f"{failure.node}: {failure.problem}" for failure in failures)
            raise Stop(f"{text}\n{done} of {len(made.moves)} nodes are done", failures[0].exit_code)


@dataclass(frozen=True, slots=True)
class _Failed:
    node: str
    problem: str
    exit_code: Exit


class _Rolling:
    """Moves one node at a time; several threads share it."""

    def __init__(self, source: ClientFactory, pool: str, every: float, timeout: float, reason: str) -> None:
        self._source = source
        self._pool = pool
        self._every = every
        self._timeout = timeout
        self._reason = reason
        self._voice = threading.Lock()
        self._stop = threading.Event()

    def move_all(self, batch: Sequence[Move]) -> list[_Failed]:
        """Move all of a batch at the same time.

        Raises:
            Stop: Ctrl-C.
        """
        with ThreadPoolExecutor(len(batch)) as hands:
            try:
                return [failure for failure in hands.map(self.move, batch) if failure is not None]
            except KeyboardInterrupt:
                self._stop.set()
                raise Stop("stopped; a node that moves already goes on by itself", Exit.INTERRUPTED) from None

    def move(self, move: Move) -> _Failed | None:
        """Move a node and let it prove itself; what went wrong, if anything did."""
        try:
            problem = self._move(move)
        except AdminError as error:
            stop = stop_of(error)
            return _Failed(move.node, str(stop).removeprefix(f"{move.node}: "), stop.exit_code)
        except Stop as stop:
            return _Failed(move.node, str(stop), stop.exit_code)
        return _Failed(move.node, problem, Exit.FAILED) if problem else None

    def _move(self, move: Move) -> str:
        watch = Watch(self._source, every=self._every, timeout=self._timeout, stop=self._stop)
        if not move.there:
            if problem := self._fetch(watch, move):
                return problem
            before = watch.client.put_image(move.node, self._pool, move.image, reason=self._reason)
            if before is not None:
                self._say(move.node, f"moves to {move.image}")
        problem = self._wait(watch, move, lambda node: arrived(node, self._pool, move.image))
        if problem:
            return problem
        tested = watch.client.selftest(move.node, self._pool)
        if not tested.passed:
            return f"its selftest failed: {tested.message}"
        # Until then a visitor may still get what was ready before.
        problem = self._wait(watch, move, lambda node: replaced(node, self._pool), reported=True)
        if not problem:
            self._say(move.node, f"runs {move.image}" + (f": {tested.message}" if tested.message else ""))
        return problem

    def _fetch(self, watch: Watch, move: Move) -> str:
        """Let the node fetch the image while it goes on with what it has; why it does not get it, or empty."""
        progress, told_at = "", 0.0
        while True:
            fetch = watch.look(lambda client: client.fetch_image(move.node, self._pool, move.image))
            if fetch is not None and (fetch.there or fetch.problem):
                return f"{fetch.problem}; it was not moved" if fetch.problem else ""
            progress = fetch.progress if fetch is not None else progress
            if progress and time.monotonic() - told_at >= PROGRESS_SECONDS:
                told_at = time.monotonic()
                self._say(move.node, f"fetches {move.image}: {progress}")
            if not watch.pause():
                return f"had not fetched {move.image} within {self._timeout:.0f} s ({progress}), and was not moved"

    def _wait(self, watch: Watch, move: Move, there: Callable[[NodeView], bool], *, reported: bool = False) -> str:
        """Look until the node is there; why it will not be, or empty."""
        while True:
            node = watch.look(lambda client: client.node(move.node))
            problem = stuck(node, self._pool, move.image, reported=reported) if node is not None else ""
            if problem or (node is not None and there(node)):
                return problem
            if not watch.pause():
                return f"was not ready with {move.image} within {self._timeout:.0f} s"

    def _say(self, name: str, text: str) -> None:
        with self._voice:
            click.echo(f"{plain(name)}: {plain(text)}")
