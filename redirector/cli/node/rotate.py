"""`tmpnb node rotate`: a new host takes the place of an old one, and no visitor notices."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import RefusedError
from redirector.admin_api.views import NodeView
from redirector.cli.fleet.access import read_secret
from redirector.cli.fleet.options import ClientFactory, beside_a_fleet, every_option, node_names, reason_option
from redirector.cli.fleet.watch import Watch
from redirector.cli.node.draining import watch_drain
from redirector.cli.node.names import hint
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.texts import examples, plain
from redirector.errors import BadRequestError
from redirector.model.node_names import normalised_url
from redirector.plans.rotation import (
    Situation,
    Step,
    addition_reason,
    next_step,
    stuck,
    warm,
    was_added_for,
    was_removed,
)

HISTORY_LINES = 1000
"""So many of a node's newest events are searched for what was done to it: the most that one call brings."""


@click.command(
    epilog=examples(
        "tmpnb node rotate n1 https://n7.example.org --token-file n7.token",
        'tmpnb node rotate n1 https://n7.example.org --token-file n7.token --reason "disk is old"',
    )
)
@beside_a_fleet
@click.argument("old", shell_complete=node_names)
@click.argument("new_url", metavar="NEW_URL")
@click.option("--name", default="", help="What the fleet calls the new node; if not given, what it calls itself.")
@click.option("--control", "control_url", default="", metavar="URL", help="Its private address for control traffic.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the new node's token; - is standard input.",
)
@click.option("--force", is_flag=True, help="Drain the old one against the fleet's guards, too.")
@click.option(
    "--warm-timeout",
    type=click.FloatRange(0),
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="For the new node's pool to fill.",
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="For the old node's sessions to end.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a node of the fleet takes the old one's place.")
@reason_option
@every_option
def rotate(
    source: ClientFactory,
    *,
    old: str,
    new_url: str,
    name: str,
    control_url: str,
    token_file: Path | None,
    force: bool,
    warm_timeout: float,
    timeout: float | None,
    yes: bool,
    reason: str,
    every: float,
) -> None:
    """Replace the node OLD by the one at NEW_URL.

    Adds the new node, waits until its pool is warm and its selftest passes, drains the old one, waits for its sessions,
    and removes it. Stops at the first failure. Run it again and it goes on from where it stands; what is done is not
    done again. If the node at NEW_URL is in the fleet already and was not added for this, it asks first.
    """
    try:
        url = normalised_url(new_url)
    except BadRequestError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem
    token = read_secret(token_file) if token_file else ""
    addition = {"name": name, "control_url": control_url, "token": token}
    why = reason or f"replaced by {url}"
    rotation = _Rotation(source, old, url, addition, reason=why, every=every, agreed=yes)
    tested = False
    while True:
        step = rotation.next(tested=tested)
        if step == "done":
            click.echo(f"done: {plain(old)} is out of the fleet, {url} is in")
            return
        match step:
            case "add":
                rotation.add()
            case "warm":
                rotation.wait_until_warm(warm_timeout)
            case "selftest":
                rotation.prove()
                tested = True
            case "drain":
                rotation.drain(force=force)
            case "empty":
                rotation.wait_until_empty(timeout)
            case "remove":
                rotation.remove()


class _Rotation:
    """The steps, one method each; which is next is decided in `redirector.plans.rotation`."""

    def __init__(
        self,
        source: ClientFactory,
        old: str,
        url: str,
        addition: dict[str, str],
        *,
        reason: str,
        every: float,
        agreed: bool,
    ) -> None:
        self._source = source
        self._client = source.open()
        self._old = old
        self._url = url
        self._addition = addition
        self._reason = reason
        self._every = every
        self._agreed = agreed

    def next(self, *, tested: bool) -> Step:
        """Look, and decide; ask first where only an operator can tell.

        Raises:
            Stop: both are one node, there never was an old one, or the operator does not want it.
        """
        old, new = self._both(self._client.nodes())
        if old is not None and old.url == self._url:
            raise Stop(f"{plain(self._old)} is the node at {self._url}: name another address", Exit.USAGE)
        removed = old is None and was_removed(self._client.events(limit=HISTORY_LINES, node=self._old))
        if old is not None and new is not None and not self._agreed:
            self._agreed = was_added_for(self._old, self._client.events(limit=HISTORY_LINES, node=new.name))
        step = next_step(Situation(old, new, tested, removed, self._agreed))
        if step == "unknown":
            names = [node.name for node in self._client.nodes()]
            raise Stop(f"{plain(self._old)}: {hint(self._old, names)}", Exit.FAILED)
        if step == "confirm":
            self._confirm()
            return self.next(tested=tested)
        return step

    def _confirm(self) -> None:
        """Ask whether a node that does its own work already is to replace the old one.

        Raises:
            Stop: there is nobody to ask, or they said no.
        """
        there = f"{self._new_name()} at {self._url} is in the fleet already, and was not added to replace {self._old}"
        if not sys.stdin.isatty():
            raise Stop(f"{there}: if it is to do that, say --yes", Exit.USAGE)
        if not click.confirm(f"{there}. Drain {self._old} and remove it all the same?", err=True):
            raise Stop("nothing was changed", Exit.FAILED)
        self._agreed = True

    def add(self) -> None:
        _, added = self._client.add(self._url, reason=addition_reason(self._old), **self._addition)
        click.echo(f"{plain(added.name)}: added, {self._url}")

    def wait_until_warm(self, timeout: float) -> None:
        watch = Watch(self._source, every=self._every, timeout=timeout)
        click.echo(f"{self._new_name()}: waiting until its pool is warm")
        while True:
            nodes = watch.look(AdminClient.nodes)
            new = self._both(nodes)[1] if nodes is not None else None
            if nodes is not None and new is None:
                raise Stop(f"{self._url} was removed meanwhile", Exit.FAILED)
            if new is not None and warm(new):
                return
            problem = stuck(new) if new is not None else ""
            if problem:
                raise Stop(
                    f"{self._new_name()} does not become warm: {plain(problem)}; the old node is as it was", Exit.FAILED
                )
            if not watch.pause():
                raise Stop(
                    f"{self._new_name()} was not warm within {timeout:.0f} s; the old node is as it was", Exit.FAILED
                )

    def prove(self) -> None:
        name = self._new_name()
        tested = self._client.selftest(name)
        if not tested.passed:
            raise Stop(f"{name}: its selftest failed: {plain(tested.message)}; the old node is as it was", Exit.FAILED)
        click.echo(f"{name}: warm, and its selftest passed")

    def drain(self, *, force: bool) -> None:
        self._client.drain(self._old, reason=self._reason, force=force)
        click.echo(f"{plain(self._old)}: draining")

    def wait_until_empty(self, timeout: float | None) -> None:
        if watch_drain(Watch(self._source, every=self._every, timeout=timeout), [self._old]):
            raise Stop(
                f"sessions are left on {plain(self._old)}; the drain goes on, and running this again goes on with it",
                Exit.SESSIONS_LEFT,
            )

    def remove(self) -> None:
        try:
            self._client.remove(self._old, reason=self._reason)
        except RefusedError as refusal:
            if refusal.code != "unknown_node":
                raise
            return
        click.echo(f"{plain(self._old)}: removed")

    def _new_name(self) -> str:
        new = self._both(self._client.nodes())[1]
        return plain(new.name) if new is not None else self._url

    def _both(self, nodes: Sequence[NodeView]) -> tuple[NodeView | None, NodeView | None]:
        old = next((node for node in nodes if node.name == self._old), None)
        return old, next((node for node in nodes if node.url == self._url), None)
