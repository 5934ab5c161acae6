"""Walks through what the agent needs of an image, with one sandbox of it, and says what is wrong to its author."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node_agent import kernel_session
from node_agent.docker_engine import DockerEngine
from node_agent.docker_images import Progress
from node_agent.docker_limits import DockerLimits
from node_agent.docker_runtime import DockerRuntime
from node_agent.errors import EngineError
from node_agent.kernel_session import KernelError
from node_agent.runtime import Launch
from node_agent.sandboxes import base_path, name_of, new_key
from node_agent.setting_values import SOCKET_NAME
from node_agent.unix_http import NoAnswerError, listens, request

KERNEL_SECONDS = 60.0
ANSWER_SECONDS = 10.0
LOOK_SECONDS = 0.05
OK, FORBIDDEN, NOT_FOUND = 200, 403, 404

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
KERNEL_ADVICE = (
    "Is a kernel installed (ipykernel)? Does it start within the memory limit? May requests come without a cookie "
    "(--ServerApp.disable_check_xsrf=True)?"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` is for the image's author, and may come with what is fine, too."""

    good: bool
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """How the sandbox is started: as the agent would."""

    image: str
    template: str
    landing: str
    limits: DockerLimits
    start_seconds: float
    unkept: bool = False
    """Whether an engine may be used that does not keep limits."""


def check(
    engine: DockerEngine, trial: Trial, run_dir: Path, *, pause: Callable[[float], object], say: Callable[[str], object]
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
    # A run directory of its own, so that an agent on this host never takes the sandbox for one of its pool.
    runtime = DockerRuntime(
        engine,
        node=f"check-{place.name}",
        run_dir=place,
        image=trial.image,
        template=trial.template,
        landing=trial.landing,
        clock=time.time,
        limits=trial.limits,
        pull=False,
        unkept=trial.unkept,
    )
    launch = _launch(trial.image, place)
    try:
        yield from _walk(runtime, trial, launch, pause)
    finally:
        runtime.end(launch.name)
        shutil.rmtree(place, ignore_errors=True)


def _fetch(engine: DockerEngine, image: str, say: Callable[[str], object]) -> None:
    if engine.image(image) is not None:
        return
    progress = Progress()
    for event in engine.pull(image):
        if "error" in event:
            raise EngineError(str(event["error"]))
        progress.note(event)
        say(f"pulling {image}: {progress}")


def _launch(image: str, place: Path) -> Launch:
    key = new_key(secrets.choice)
    directory = place / key
    directory.mkdir()
    directory.chmod(0o777)
    return Launch(name_of(key), key, "check", image, directory)


def _walk(runtime: DockerRuntime, trial: Trial, launch: Launch, pause: Callable[[float], object]) -> Iterator[Finding]:
    runtime.check()
    begun = time.monotonic()
    try:
        runtime.start(launch)
    except EngineError as error:
        yield Finding(good=False, what=f"the container does not start: {error}")
        return
    yield Finding(good=True, what=_account(runtime, launch))

    if problem := _await_socket(runtime, trial, launch, pause):
        yield problem
        return
    yield Finding(good=True, what=f"its socket appeared after {time.monotonic() - begun:.1f} s")

    launch.directory.chmod(0o755)
    for look in (_base_url, _landing):
        finding = look(launch, trial.landing)
        yield finding
        if not finding.good:
            return

    # As at a claim.
    claimed = launch.directory.rename(launch.directory.with_name("claimed"))
    yield _kernel(claimed / SOCKET_NAME, launch)


def _account(runtime: DockerRuntime, launch: Launch) -> str:
    account = runtime.account(launch)
    return f"it starts as user {account.uid}, home {account.home}, with a read-only root and no privileges"


def _await_socket(
    runtime: DockerRuntime, trial: Trial, launch: Launch, pause: Callable[[float], object]
) -> Finding | None:
    deadline = time.monotonic() + trial.start_seconds
    while not listens(launch.directory / SOCKET_NAME):
        found = [instance for instance in runtime.instances() if instance.name == launch.name]
        if not found or not found[0].alive:
            how = found[0].detail if found else "removed"
            return _failed(f"it ended before it listened ({how})", runtime.last_words(launch.name))
        if time.monotonic() > deadline:
            words = runtime.last_words(launch.name)
            return _failed(f"no socket after {trial.start_seconds:.0f} s, though it runs", words, SOCKET_ADVICE)
        pause(LOOK_SECONDS)
    return None


def _failed(what: str, words: str, advice: str = "") -> Finding:
    hints = [hint for sign, hint in HINTS if sign in words]
    said = f"It said at last:\n{words.strip()}" if words.strip() else "It said nothing."
    return Finding(good=False, what=what, advice="\n".join([*(hints or [advice] if hints or advice else []), said]))


def _base_url(launch: Launch, _landing: str) -> Finding:
    try:
        answer = request(launch.directory / SOCKET_NAME, "GET", f"{base_path(launch.key)}api", within=ANSWER_SECONDS)
    except NoAnswerError as error:
        return Finding(good=False, what=f"its API gave {error}", advice="Is it a Jupyter server that listens there?")
    if answer.status == NOT_FOUND:
        advice = "Its command has to pass {base_path} on, as --ServerApp.base_url={base_path} does."
        return Finding(good=False, what="its API is not below the base URL that it was given", advice=advice)
    version = _version(answer.body) if answer.status == OK else ""
    if not version:
        return Finding(good=False, what=f"its API answered {answer.status}, not with a version as Jupyter's does")
    return Finding(good=True, what=f"Jupyter Server {version} answers below its base URL")


def _version(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("version", ""))[:40] if isinstance(found, dict) else ""


def _landing(launch: Launch, landing: str) -> Finding:
    begun = time.monotonic()
    try:
        target = base_path(launch.key).rstrip("/") + landing
        answer = request(launch.directory / SOCKET_NAME, "GET", target, within=ANSWER_SECONDS)
    except NoAnswerError as error:
        return Finding(good=False, what=f"the landing page {landing} gave {error}")
    if answer.status == OK:
        return Finding(good=True, what=f"the landing page {landing} came after {time.monotonic() - begun:.1f} s")
    if answer.status == NOT_FOUND:
        advice = (
            f"Install what serves {landing} (JupyterLab for /lab, Notebook for /tree), or set another landing path."
        )
    elif answer.status in (301, 302, FORBIDDEN):
        advice = (
            "It must ask for no token and no password: --IdentityProvider.token= in its command. The URL is the secret."
        )
    else:
        advice = ""
    return Finding(good=False, what=f"the landing page {landing} answered {answer.status}", advice=advice)


def _kernel(socket: Path, launch: Launch) -> Finding:
    begun = time.monotonic()
    try:
        value = kernel_session.run(socket, base_path(launch.key), "6*7", within=KERNEL_SECONDS)
    except KernelError as error:
        return Finding(good=False, what=f"no kernel computes: {error}", advice=KERNEL_ADVICE)
    if value != "42":
        return Finding(good=True, what=f"its default kernel answers, though not as Python would: {value!r:.40}")
    return Finding(good=True, what=f"a kernel computed 6*7 after {time.monotonic() - begun:.1f} s")
