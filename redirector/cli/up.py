"""`tmpnb up`: a whole fleet on this machine, in the foreground."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

import click

from redirector.cli.fleet.access import DEFAULT_STATE
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.progress import Screen
from redirector.cli.terminal.texts import examples
from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.errors import NotStartedError, StartFailedError
from redirector.local_fleet.fleet import LocalFleet
from redirector.local_fleet.lock import StateLock
from redirector.local_fleet.machine import check_programs
from redirector.local_fleet.plan import NOTEBOOK_IMAGE, Installation, UpOptions, checked, make_plan, node_plan, run_root
from redirector.local_fleet.stop_request import StopAsked, StopRequest


@click.command(
    epilog=examples("tmpnb up", "tmpnb up --nodes 3 --capacity 8 --warm 4", "tmpnb up --port 9000 --state /tmp/other")
)
@click.option("--nodes", default=2, show_default=True, help="How many nodes.")
@click.option("--warm", type=int, help="Sandboxes that each node keeps ready.  [default: the capacity]")
@click.option("--capacity", default=4, show_default=True, help="Sandboxes that each node has at most.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    help="The entry's. The redirector behind it has PORT+1, nodes from PORT+101 on.",
)
@click.option(
    "--state",
    envvar="TMPNB_STATE",
    default=DEFAULT_STATE,
    show_default=True,
    metavar="DIR",
    help="Where registry, tokens and logs are kept, for the next time too.",
)
@click.option(
    "--runtime",
    type=click.Choice(["process", "docker"]),
    default="process",
    show_default=True,
    help="What sandboxes are. Processes isolate nothing: they are for trying the system on your own machine.",
)
@click.option(
    "--image",
    envvar="TMPNB_NODE_IMAGE",
    default=NOTEBOOK_IMAGE,
    show_default=True,
    help="What sandboxes of runtime docker run; deploy/notebook says how to build this one.",
)
@click.option("--until-parent-ends", is_flag=True, hidden=True, help="Stop when the parent process has ended.")
def up(
    *,
    nodes: int,
    warm: int | None,
    capacity: int,
    port: int,
    state: str,
    runtime: str,
    image: str,
    until_parent_ends: bool,
) -> None:
    """Run a fleet on this machine: a redirector and nodes with real Jupyter servers, on loopback.

    It stays in the foreground until Ctrl-C, and then ends everything that it started.
    """
    if not state:
        # It would be the current directory, strewn with tokens and logs.
        raise Stop("--state has to name a directory", Exit.USAGE)
    stop = StopRequest(parent=os.getppid() if until_parent_ends else None)
    options = UpOptions(nodes, capacity if warm is None else warm, capacity, port, runtime, image)
    try:
        with stop.listening():
            _run(options, FleetDirectory.at(state), stop)
    except NotStartedError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem
    except StartFailedError as problem:
        raise Stop(str(problem), Exit.FAILED) from problem
    except StopAsked:
        return
    finally:
        stop.close()


def _run(options: UpOptions, directory: FleetDirectory, stop: StopRequest) -> None:
    uid, programs = os.getuid(), Path(sys.executable).parent
    checked(options)
    check_programs(programs, os.environ, runtime=options.runtime)
    directory.prepare()
    lock = StateLock(directory.lock)
    lock.take(stop)
    try:
        installation = Installation(directory, run_root(directory.root, uid, _runtime_dir(uid)), programs, os.environ)
        fleet = LocalFleet(
            make_plan(options, installation),
            directory,
            leftovers=[node_plan(int(name[1:]), options, installation) for name in directory.known_nodes()],
            uid=uid,
            reporter=Screen(partial(typed, directory.root)),
            stop=stop,
        )
        fleet.clear_leftovers()
        fleet.check()
        fleet.run(leaving=lock.say_stopping)
    finally:
        lock.release()


def typed(state: Path, *words: str) -> str:
    """How to call `tmpnb` from this directory, for the fleet of that state directory."""
    found = shutil.which("tmpnb")
    on_path = found is not None and Path(found).samefile(sys.argv[0])
    program = "tmpnb" if on_path else _nearest(Path(sys.argv[0]))
    state_option = [] if state == Path(DEFAULT_STATE).resolve() else ["--state", _nearest(state)]
    return shlex.join([program, *words, *state_option])


def _nearest(path: Path) -> str:
    """`path` from here if it lies below, else in full."""
    there = path.absolute()
    return str(there.relative_to(Path.cwd()) if there.is_relative_to(Path.cwd()) else there)


def _runtime_dir(uid: int) -> str | None:
    """The user's own directory for sockets; what `su` left of somebody else's is none."""
    named = os.environ.get("XDG_RUNTIME_DIR")
    try:
        return named if named and Path(named).stat().st_uid == uid and os.access(named, os.W_OK) else None
    except OSError:
        return None
