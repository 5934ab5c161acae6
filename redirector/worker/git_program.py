"""The distribution's own git program, run so that a repository can neither run anything here nor lead anywhere else.

Why the program and not a library: it speaks every forge's protocol (version 2, shallow, by commit), its object checks
(`transfer.fsckObjects`) are the ones that forges rely on, Debian mends its holes without us, and a process of its own
can be bounded and ended whatever a pack does to it. dulwich would read the pack in our own process, has no such checks,
and pins no address.

git gets a clean environment: no configuration of the system or the user, no prompts, no credential helpers, no hooks,
no proxies, one protocol, and the checked address. The token travels in a header for the source's own host, in the
environment and not on the command line.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO

from redirector.worker.addresses import Origin
from redirector.worker.errors import FetchError
from redirector.worker.limits import FetchLimits

LOOK_SECONDS = 0.2
"""How often a running git is looked at."""

SLOW_BYTES, SLOW_SECONDS = 100, 30
"""A forge that sends fewer bytes a second for this long is given up."""

BIG_FILE = "8m"
"""Larger files pass through git in pieces, so that its memory stays small."""

MESSAGE_LIMIT = 300
OUTPUT_LIMIT = 1024 * 1024

_LOGIN = re.compile(r"could not read (Username|Password)|Authentication failed|terminal prompts disabled")
_GONE = re.compile(r"(?i)not our ref|couldn't find remote ref|repository .* not found|does not exist|no such ref")
_REDIRECT = re.compile(r"redirect", re.IGNORECASE)
_FSCK = re.compile(r"fsck error|object .*: ([A-Za-z]+):")


def git_path() -> str:
    """Where git is.

    Raises:
        FetchError: it is not installed.
    """
    path = shutil.which("git")
    if path is None:
        raise FetchError("there is no git program on the redirector's host: install the package git")
    return path


class GitProgram:
    """Runs git for one repository, which lies in `directory`, within the limits of one fetch."""

    def __init__(self, directory: Path, origin: Origin, token: str, limits: FetchLimits) -> None:
        self._git = git_path()
        self._directory = directory
        self._limits = limits
        self._environ = _environ(directory, settings_for(origin, token))
        self._token = token

    def run(self, *arguments: str) -> bytes:
        """Run git to its end, and return what it printed.

        Raises:
            FetchError: it failed, took too long or too much; the text says it in an operator's words.
        """
        output, errors = self._directory / "stdout", self._directory / "stderr"
        with output.open("wb") as stdout, errors.open("wb") as stderr, self._process(arguments, stdout, stderr) as git:
            while not _ended(git, min(LOOK_SECONDS, self._limits.seconds_left())):
                self._limits.check_disk(self._directory)
        self._limits.check_disk(self._directory)
        if git.returncode:
            raise FetchError(self._problem(_tail(errors)))
        with output.open("rb") as file:
            return file.read(OUTPUT_LIMIT)

    @contextmanager
    def talking(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A git to write to and read from, which is ended with the limits of the fetch, or with this context."""
        errors = self._directory / "stderr"
        with errors.open("wb") as stderr, self._process(arguments, subprocess.PIPE, stderr) as git:
            watch = Timer(self._limits.seconds_left(), git.kill)
            watch.daemon = True
            watch.start()
            try:
                yield git
            finally:
                watch.cancel()

    @contextmanager
    def _process(
        self, arguments: tuple[str, ...], stdout: IO[bytes] | int, stderr: IO[bytes]
    ) -> Iterator[subprocess.Popen[bytes]]:
        # A group of its own, so that its helpers end with it; the same session, so that nobody loses sight of it.
        with subprocess.Popen(
            [self._git, "--git-dir", str(self._directory / "repository"), *arguments],
            env=self._environ,
            cwd=self._directory,
            stdin=subprocess.PIPE if stdout == subprocess.PIPE else subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
        ) as git:
            try:
                yield git
            finally:
                _end_group(git)

    def _problem(self, text: str) -> str:
        if _LOGIN.search(text):
            return "the forge wants a login: the repository is private or is not there" + (
                ", or the token does not open it" if self._token else ""
            )
        if _GONE.search(text):
            return "the forge has no such repository, branch, tag or commit"
        if _REDIRECT.search(text):
            return "the forge redirects to another address, which is not followed"
        if match := _FSCK.search(text):
            return f"the repository holds an object that git refuses ({match.group(1) or 'fsck'})"
        lines = [line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
        line = "".join(char for char in (lines or [""])[0] if char.isprintable())[:MESSAGE_LIMIT]
        return f"git says: {line}" if line else "git failed"


def settings_for(origin: Origin, token: str) -> dict[str, str]:
    """The settings with which git speaks to one origin, and to nothing else."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    addresses = ",".join(f"[{address}]" if ":" in address else address for address in origin.addresses)
    settings = {
        "protocol.allow": "never",
        "protocol.file.allow": "never",
        f"protocol.{origin.scheme}.allow": "always",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": str(SLOW_BYTES),
        "http.lowSpeedTime": str(SLOW_SECONDS),
        "transfer.fsckObjects": "true",
        "transfer.bundleURI": "false",
        "fetch.fsckObjects": "true",
        # Old tools wrote these into many repositories; they say nothing of names and modes.
        "fetch.fsck.badTimezone": "ignore",
        "fetch.fsck.missingSpaceBeforeDate": "ignore",
        "fetch.fsck.zeroPaddedFilemode": "ignore",
        "fetch.recurseSubmodules": "false",
        "fetch.writeCommitGraph": "false",
        "core.hooksPath": "/dev/null",
        "core.askPass": "",
        "core.bigFileThreshold": BIG_FILE,
        "credential.helper": "",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "pack.threads": "1",
    }
    if host != addresses:
        settings["http.curloptResolve"] = f"{host}:{origin.port}:{addresses}"
    if token:
        # GitHub, GitLab and Gitea take a token as the password of any user.
        login = base64.b64encode(f"oauth2:{token}".encode()).decode()
        settings[f"http.{origin.scheme}://{host}:{origin.port}/.extraHeader"] = f"Authorization: Basic {login}"
    return settings


def _environ(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    authorities = ssl.get_default_verify_paths()
    environ = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    # The authorities that Python trusts, an operator's own among them (SSL_CERT_FILE).
    if authorities.cafile:
        environ["GIT_SSL_CAINFO"] = authorities.cafile
        if authorities.capath:
            environ["GIT_SSL_CAPATH"] = authorities.capath
    for number, (name, value) in enumerate(settings.items()):
        environ[f"GIT_CONFIG_KEY_{number}"], environ[f"GIT_CONFIG_VALUE_{number}"] = name, value
    return environ


def _ended(git: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        git.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end_group(git: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(git.pid, signal.SIGKILL)
    for pipe in (git.stdin, git.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    git.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - OUTPUT_LIMIT))
        return file.read().decode(errors="replace")
