"""`tmpnb node resize`: let pools hold more or fewer sandboxes."""

from __future__ import annotations

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.requests import MOST_SANDBOXES
from redirector.cli.fleet.options import json_option, names_argument, on_a_fleet, reason_option
from redirector.cli.node.names import change, hinting
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave
from redirector.cli.terminal.texts import examples
from tmpnb_common.wire import DEFAULT_POOL

SANDBOXES = click.IntRange(0, MOST_SANDBOXES)


@click.command(epilog=examples("tmpnb node resize n1 --capacity 20", "tmpnb node resize n1 n2 --pool r --warm 3"))
@on_a_fleet
@names_argument
@click.option("--pool", default=DEFAULT_POOL, show_default=True, metavar="NAME", help="Which of their pools.")
@click.option("--capacity", type=SANDBOXES, metavar="NUMBER", help="How many sandboxes it may hold.")
@click.option("--warm", type=SANDBOXES, metavar="NUMBER", help="How many of them are kept ready.")
@reason_option
@json_option
def resize(
    client: AdminClient,
    *,
    names: tuple[str, ...],
    pool: str,
    capacity: int | None,
    warm: int | None,
    reason: str,
    as_json: bool,
) -> None:
    """Let a pool of nodes hold more or fewer sandboxes.

    It lasts until a node's own settings are changed. Sessions beyond a smaller capacity live on.
    """
    if capacity is None and warm is None:
        raise Stop("say what to change: --capacity or --warm", Exit.USAGE)
    if capacity is not None and warm is not None and warm > capacity:
        raise Stop(f"--warm {warm} is more than --capacity {capacity}", Exit.USAGE)
    sizes = [] if capacity is None else [f"{capacity} sandboxes"]
    sizes += [] if warm is None else [f"{warm} ready"]

    def set_size(name: str) -> Outcome:
        answer = client.resize(name, pool, capacity=capacity, warm=warm, reason=reason)
        if not answer.changed:
            return Outcome(name, "already", f"pool {pool} has {capacity} sandboxes already")
        return Outcome(name, "done", f"pool {pool}: {', '.join(sizes)}; it had {answer.capacity_before}")

    leave(change(names, hinting(client, set_size), as_json=as_json))
