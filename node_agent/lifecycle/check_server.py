"""What is asked of the server in a sandbox of an image that is tried: is it where it should be, and does it compute?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from node_agent.directories import SOCKET_NAME
from node_agent.jupyter import kernel_session
from node_agent.jupyter.client import page_status
from node_agent.jupyter.kernel_session import KernelError
from node_agent.jupyter.trial import compute
from node_agent.lifecycle.landings import OPENS_A_FILE, without_file
from node_agent.runtimes.contract import Launch
from node_agent.unix_http import NoAnswerError, request
from tmpnb_common.json_object import JsonError, Text, decode
from tmpnb_common.keys import base_path

KERNEL_SECONDS = 60.0
ANSWER_SECONDS = 10.0
OK, FORBIDDEN, NOT_FOUND = 200, 403, 404

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


def base_url_finding(launch: Launch, _landing: str) -> Finding:
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


@dataclass(frozen=True, slots=True)
class _ServerInfo:
    """What a Jupyter server's API says of itself."""

    version: Text


def _version(body: bytes) -> str:
    try:
        return decode(_ServerInfo, body).version[:40]
    except JsonError:
        return ""


def landing_finding(launch: Launch, landing: str) -> Finding:
    begun = time.monotonic()
    try:
        target = base_path(launch.key).rstrip("/") + landing
        answer = request(launch.directory / SOCKET_NAME, "GET", target, within=ANSWER_SECONDS)
    except NoAnswerError as error:
        return Finding(good=False, what=f"the landing page {landing} gave {error}")
    if answer.status == OK and (missing := _missing_file(launch, landing)):
        return missing
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


def _missing_file(launch: Launch, landing: str) -> Finding | None:
    """What is wrong with a landing page that opens a file: JupyterLab shows its page also for one that is not there."""
    opened = OPENS_A_FILE.match(landing)
    if opened is None:
        return None
    target = f"{base_path(launch.key)}api/contents/{opened['file']}?content=0"
    if page_status(launch.directory / SOCKET_NAME, target) != NOT_FOUND:
        return None
    file = unquote(opened["file"])
    return Finding(
        good=True,
        what=f"the home holds no {file}, so visitors land on {without_file(landing)} instead of {landing}",
        advice=f"Put a notebook {file} into the home (check-image lists what it hides), or name another landing page.",
    )


def kernel_finding(socket: Path, launch: Launch) -> Finding:
    begun = time.monotonic()
    try:
        value = compute(lambda cell: kernel_session.run(socket, base_path(launch.key), cell, within=KERNEL_SECONDS))
    except KernelError as error:
        return Finding(good=False, what=f"no kernel computes: {error}", advice=KERNEL_ADVICE)
    if value != "42":
        return Finding(good=True, what=f"its default kernel answers, though not as Python would: {value!r:.40}")
    return Finding(good=True, what=f"a kernel computed 6*7 after {time.monotonic() - begun:.1f} s")
