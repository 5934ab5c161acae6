"""`tmpnb node wait` and `tmpnb node selftest`: what scripts do before the next step."""

from __future__ import annotations

import click
import msgspec

from redirector.admin_api.client import AdminClient
from redirector.admin_api.views import NodeView
from redirector.cli.fleet.options import (
    ClientFactory,
    beside_a_fleet,
    every_option,
    json_option,
    names_argument,
    on_a_fleet,
    timeout_option,
)
from redirector.cli.fleet.watch import Watch
from redirector.cli.node.draining import watch_drain
from redirector.cli.node.names import hint, hinting, print_one_or_all
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave, on_each, say_line, say_nothing
from redirector.cli.terminal.texts import examples, plain
from redirector.plans.rotation import warm


@click.command(
    epilog=examples("tmpnb node wait n1 --for warm --timeout 600", "tmpnb node wait n1 n2 --for drained && reboot-them")
)
@beside_a_fleet
@names_argument
@click.option(
    "--for",
    "wanted",
    type=click.Choice(["routable", "warm", "drained"]),
    default="routable",
    show_default=True,
    help="routable: takes visitors. warm: and has its sandboxes ready. drained: draining, and nobody is left.",
)
@timeout_option
@every_option
def wait(source: ClientFactory, *, names: tuple[str, ...], wanted: str, timeout: float | None, every: float) -> None:
    """Wait until all the named nodes are in a state. Exit code 4 if the time is up before."""
    watch = Watch(source, every=every, timeout=timeout)
    nodes = {node.name: node for node in watch.look(AdminClient.nodes) or []}
    for name in names:
        if name not in nodes:
            raise Stop(f"{plain(name)}: {hint(name, list(nodes))}", Exit.FAILED)
        if wanted == "drained" and nodes[name].intent != "draining":
            raise Stop(f"{plain(name)} is not draining: tmpnb node drain {plain(name)} begins that", Exit.FAILED)
    left = watch_drain(watch, names) if wanted == "drained" else _until(watch, names, wanted)
    if left:
        raise Stop(f"not {wanted} in time: {', '.join(map(plain, left))}", Exit.SESSIONS_LEFT)
    click.echo(f"{wanted}: {', '.join(map(plain, names))}")


def _until(watch: Watch, names: tuple[str, ...], state: str) -> list[str]:
    while True:
        nodes = watch.look(AdminClient.nodes)
        if nodes is not None:
            found = {node.name: node for node in nodes}
            gone = [name for name in names if name not in found]
            if gone:
                raise Stop(f"{', '.join(map(plain, gone))}: removed meanwhile", Exit.FAILED)
            left = [name for name in names if not _reached(found[name], state)]
            if not left:
                return []
        if not watch.pause():
            return list(names) if nodes is None else left


def _reached(node: NodeView, state: str) -> bool:
    return warm(node) if state == "warm" else node.eligible


@click.command(epilog=examples("tmpnb node selftest n1", "tmpnb node selftest n1 n2 --json"))
@on_a_fleet
@names_argument
@click.option("--pool", default="", metavar="NAME", help="Of which pool the trial sandbox is.")
@json_option
def selftest(client: AdminClient, *, names: tuple[str, ...], pool: str, as_json: bool) -> None:
    """Let a trial sandbox run a cell on nodes. JSON has what was measured."""
    measured: dict[str, dict[str, object]] = {}

    def prove(name: str) -> Outcome:
        found = client.selftest(name, pool)
        measured[name] = {"name": name, **msgspec.to_builtins(found)}
        if not found.passed:
            return Outcome(name, "selftest_failed", f"its selftest failed: {found.message}", Exit.FAILED)
        return Outcome(name, "done", found.message or "passed")

    outcomes = on_each(names, hinting(client, prove), say_nothing if as_json else say_line)
    if as_json:
        print_one_or_all(names, list(measured.values()))
    leave(outcomes)
