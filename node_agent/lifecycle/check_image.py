"""Walks through what the agent needs of an image, with one sandbox of it, and says what is wrong to its author."""

from __future__ import annotations

import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from node_agent.directories import SOCKET_NAME
from node_agent.errors import EngineError
from node_agent.jupyter.trial import Patience, await_server
from node_agent.lifecycle.check_server import Finding, base_url_finding, kernel_finding, landing_finding
from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker import home as docker_home
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.images import Progress
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.runtime import DockerRuntime
from node_agent.unix_http import listens
from tmpnb_common.keys import name_of, new_key

PROGRESS_SECONDS = 2.0
"""Between two lines about a pull."""
POOL = "check"
NAMED = 5
"""How many files a line names."""
HINTS = (
    ("Read-only file system", "It writes outside of its home and /tmp; everything else is read-only in a sandbox."),
    ("exec jupyter-lab failed", "There is no jupyter-lab in the image: install jupyterlab, or set another command."),
    ("No module named", "The image lacks a Python package that its command needs."),
    ("Permission denied", "It does something that its user may not. Sandboxes never run as root."),
    ("Address family not supported", "It needs a network at its start; a sandbox has none."),
)
"""What the end of a log tells, in the words for whoever can mend it."""

SOCKET_ADVICE = (
    "Its command has to pass {socket} on, as --ServerApp.sock={socket} does, to a Jupyter Server that is 1.3 or newer."
)


@dataclass(frozen=True, slots=True)
class ImageTrial:
    """How the sandbox is started: as the agent would."""

    image: str
    template: str
    landing: str
    limits: DockerLimits
    start_seconds: float
    unkept: bool = False
    """Whether an engine may be used that does not keep limits."""


def check(
    engine: DockerEngine,
    trial: ImageTrial,
    run_dir: Path,
    *,
    pause: Callable[[float], object],
    say: Callable[[str], object],
) -> Iterator[Finding]:
    """Look at one thing after the other until one is not good; the sandbox is gone afterwards.

    `run_dir` has to be the same directory for the engine; `say` hears of the progress of a pull.

    Raises:
        EngineError: it is the engine that cannot be worked with.
    """
    engine.ping()
    try:
        _fetch(engine, trial.image, say)
    except EngineError as error:
        yield Finding(good=False, what=f"the image is not there: {error}", advice="Build it, or check its name.")
        return
    # Short, like the agent's own: socket paths end at 107 bytes.
    place = Path(tempfile.mkdtemp(prefix="try", dir=run_dir))
    place.chmod(0o711)
    runtime = _runtime(engine, trial, place)
    launch = _launch(trial, place)
    say(f"starting a sandbox of {trial.image}, which may take {trial.start_seconds:.0f} s")
    try:
        yield from _walk(runtime, trial, launch, pause, lambda: _swallowed(engine, trial, place, pause, say))
    finally:
        runtime.end(launch.name)
        runtime.tidy()
        shutil.rmtree(place, ignore_errors=True)


def _runtime(engine: DockerEngine, trial: ImageTrial, place: Path) -> DockerRuntime:
    return DockerRuntime(
        engine,
        node=f"check-{place.name}",
        # Of its own, so that an agent on this host never takes the sandbox for one of its pool.
        run_dir=place,
        image=trial.image,
        clock=time.time,
        limits={POOL: trial.limits},
        pull=False,
        unkept=trial.unkept,
    )


def _swallowed(
    engine: DockerEngine, trial: ImageTrial, place: Path, pause: Callable[[float], object], say: Callable[[str], object]
) -> str:
    """Why an ENTRYPOINT is to blame for a server that did not start; empty if it does not start without, either."""
    launch = _launch(trial, place)
    runtime = _runtime(engine, replace(trial, limits=replace(trial.limits, entrypoint=False)), place)
    entrypoint = shlex.join(runtime.prepared(launch).entrypoint)
    if not entrypoint or not trial.limits.entrypoint:
        return ""
    say(f"starting one without the ENTRYPOINT {entrypoint}")
    try:
        runtime.start(launch)
        if _await_socket(runtime, trial, launch, pause):
            return ""
    except EngineError:
        return ""
    finally:
        runtime.end(launch.name)
    return (
        f"The image's ENTRYPOINT swallows the command: {entrypoint}\n"
        'Without it the server starts: set TMPNB_NODE_ENTRYPOINT=none, or end it with exec "$@" in the image.'
    )


def _fetch(engine: DockerEngine, image: str, say: Callable[[str], object]) -> None:
    if engine.image(image) is not None:
        return
    progress, said_at = Progress(), -PROGRESS_SECONDS
    say(f"{image} is not on this host; asking its registry")
    for event in engine.pull(image):
        if "error" in event:
            raise EngineError(str(event["error"]))
        progress.note(event)
        if time.monotonic() - said_at >= PROGRESS_SECONDS:
            said_at = time.monotonic()
            say(f"pulling {image}: {progress}")


def _launch(trial: ImageTrial, place: Path) -> Launch:
    key = new_key(secrets.choice)
    directory = place / key
    directory.mkdir()
    directory.chmod(0o777)
    return Launch(name_of(key), key, POOL, trial.image, directory, trial.template, trial.landing)


def _walk(
    runtime: DockerRuntime,
    trial: ImageTrial,
    launch: Launch,
    pause: Callable[[float], object],
    swallowed: Callable[[], str],
) -> Iterator[Finding]:
    runtime.check()
    begun = time.monotonic()
    try:
        runtime.start(launch)
    except EngineError as error:
        yield Finding(good=False, what=f"the container does not start: {error}")
        return
    yield Finding(good=True, what=_account(runtime, launch))
    if files := _home(runtime, trial, launch):
        yield files

    if problem := _await_socket(runtime, trial, launch, pause):
        blamed = swallowed()
        yield replace(problem, advice=f"{blamed}\n{problem.advice}") if blamed else problem
        return
    yield Finding(good=True, what=f"its socket appeared after {time.monotonic() - begun:.1f} s")

    launch.directory.chmod(0o755)
    for look in (base_url_finding, landing_finding):
        finding = look(launch, trial.landing)
        yield finding
        if not finding.good:
            return

    # As at a claim.
    claimed = launch.directory.rename(launch.directory.with_name("claimed"))
    yield kernel_finding(claimed / SOCKET_NAME, launch)


def _account(runtime: DockerRuntime, launch: Launch) -> str:
    account = runtime.prepared(launch).account
    return f"it starts as user {account.uid}, home {account.home}, with a read-only root and no privileges"


def _home(runtime: DockerRuntime, trial: ImageTrial, launch: Launch) -> Finding | None:
    """What becomes of the files that the image holds in the home; None where there are none that anybody would miss."""
    prepared, held = runtime.prepared(launch), runtime.home_contents(launch)
    home, missed = prepared.account.home, held.missed
    if not missed:
        return None
    names = ", ".join(missed[:NAMED]) + (f" and {len(missed) - NAMED} more" if missed[NAMED:] else "")
    if prepared.home_volume:
        return Finding(good=True, what=f"each home starts with what the image holds in {home}: {names}")
    advice = "TMPNB_NODE_FILL_HOME=auto copies it into each sandbox's home at its start."
    if held.total > trial.limits.home_bytes:
        advice = (
            f"It is not copied: {docker_home.too_large(held, home, trial.limits.home_bytes)}.\n"
            "What nobody changes belongs elsewhere in the image, such as /opt/data: there it takes no memory."
        )
    return Finding(good=True, what=f"visitors do not see what the image holds in {home}: {names}", advice=advice)


def _await_socket(
    runtime: DockerRuntime, trial: ImageTrial, launch: Launch, pause: Callable[[float], object]
) -> Finding | None:
    socket, begun = launch.directory / SOCKET_NAME, time.monotonic()
    ended: list[str] = []

    def has_ended() -> bool:
        instances = [instance for instance in runtime.instances() if instance.name == launch.name]
        if not instances or not instances[0].alive:
            ended.append(instances[0].detail if instances else "removed")
        return bool(ended)

    patience = Patience(trial.start_seconds, lambda: time.monotonic() - begun, pause)
    problem = await_server(socket, lambda: "" if listens(socket) else "nobody listens", patience, given_up=has_ended)
    if problem == "":
        return None
    words = runtime.log_tail(launch.name)
    if ended:
        return _failed(f"it ended before it listened ({ended[0]})", words)
    return _failed(f"no socket after {trial.start_seconds:.0f} s, though it runs", words, SOCKET_ADVICE)


def _failed(what: str, words: str, advice: str = "") -> Finding:
    hints = [hint for sign, hint in HINTS if sign in words]
    said = f"It said at last:\n{words.strip()}" if words.strip() else "It said nothing."
    return Finding(good=False, what=what, advice="\n".join([*(hints or [advice] if hints or advice else []), said]))
