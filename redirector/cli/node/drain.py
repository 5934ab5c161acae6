"""`tmpnb node drain`: send no new visitors to nodes, and wait for the last to leave if that is wanted."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from redirector.admin_api.client import AdminClient
from redirector.cli.fleet.options import (
    ClientFactory,
    beside_a_fleet,
    every_option,
    json_option,
    names_argument,
    reason_option,
    timeout_option,
)
from redirector.cli.fleet.watch import Watch
from redirector.cli.node.draining import sessions_left, watch_drain
from redirector.cli.node.names import change, hinting
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave
from redirector.cli.terminal.texts import examples, plain
from redirector.cli.terminal.times import Moment, clock_time


@click.command(
    epilog=examples(
        'tmpnb node drain n1 --reason "kernel update"',
        "tmpnb node drain n1 n2 --wait --timeout 7200",
        "tmpnb node drain n1 --wait --end-sessions-at 18:00",
    )
)
@beside_a_fleet
@names_argument
@reason_option
@click.option("--force", is_flag=True, help="Even if no other node takes visitors then, or too little stays free.")
@click.option("--wait", is_flag=True, help="Wait until their last sessions have ended. Ctrl-C ends only the waiting.")
@timeout_option
@click.option(
    "--end-sessions-at",
    "ends_at",
    type=Moment(past=False),
    metavar="TIME",
    help="End what is left then: at 18:00, or 2h from now. Nothing else ever ends a session.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before sessions are given an end.")
@every_option
@json_option
def drain(
    source: ClientFactory,
    *,
    names: tuple[str, ...],
    reason: str,
    force: bool,
    wait: bool,
    timeout: float | None,
    ends_at: float | None,
    yes: bool,
    every: float,
    as_json: bool,
) -> None:
    """Send no new visitors to nodes. Their sessions go on until they end by themselves.

    With --wait the exit code is 4 if sessions are left when the time is up.
    """
    if timeout is not None and not wait:
        raise Stop("--timeout goes with --wait", Exit.USAGE)
    client = source.open()
    if ends_at is not None and not yes:
        _agree(client, names, ends_at)

    def keep_out(name: str) -> Outcome:
        changed, node = client.drain(name, reason=reason, force=force, end_sessions_at=ends_at or 0.0)
        unheard = f" (it does not answer: {node.unanswered})" if node.unanswered else ""
        there = node.claimed or not node.current
        ends = (
            f"; they end at {clock_time(node.end_sessions_at, time.time())}" if node.end_sessions_at and there else ""
        )
        left = f"draining, {sessions_left(node)}{unheard}{ends}"
        status, message = ("done", left) if changed else ("already", f"already {left}")
        return Outcome(name, status, message, node=node)

    outcomes = change(names, hinting(client, keep_out), as_json=as_json)
    going = [outcome.name for outcome in outcomes if outcome.exit_code == Exit.DONE]
    if wait and going:
        left = watch_drain(Watch(source, every=every, timeout=timeout), going)
        if left:
            raise Stop(f"sessions are left on {', '.join(map(plain, left))}; the drain goes on", Exit.SESSIONS_LEFT)
    leave(outcomes)


def _agree(client: AdminClient, names: Sequence[str], ends_at: float) -> None:
    """Ask before people lose what they work on.

    Raises:
        Stop: there is nobody to ask, or they said no.
    """
    there = [node for node in client.nodes() if node.name in names]
    sessions = sum(node.claimed for node in there)
    unheard = [node.name for node in there if not node.current]
    when = clock_time(ends_at, time.time())
    if not sys.stdin.isatty():
        raise Stop(f"this ends people's sessions at {when}: confirm it with --yes", Exit.USAGE)
    shown = ", ".join(plain(name) for name in names)
    known = f"There are {sessions} now" + (f", by old numbers on {', '.join(map(plain, unheard))}" if unheard else "")
    question = f"End the sessions that are left on {shown} at {when}? {known}."
    if not click.confirm(question, err=True):
        raise Stop("nothing was changed", Exit.FAILED)
