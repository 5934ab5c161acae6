"""Which fleet a command speaks to, and with which token: named by option or environment, or that of `tmpnb up` here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redirector.admin_api.calls import checked_url
from redirector.admin_api.client import AdminClient
from redirector.cli.terminal.exits import Exit, Stop
from redirector.local_fleet.directory import FleetDirectory
from redirector.model.operators import parse_token
from tmpnb_common import secret_files

DEFAULT_STATE = ".tmpnb"


@dataclass(frozen=True, slots=True)
class Access:
    """An address and the token that opens it."""

    url: str
    token: str

    def client(self, by: str = "") -> AdminClient:
        """A client whose changes are those of the operator `by`."""
        return AdminClient(self.url, self.token, by=by)


def locate(url: str | None, state: str | None, environ: Mapping[str, str]) -> Access:
    """Decide where the fleet is. What is typed goes before the environment, an address before a state directory.

    Raises:
        Stop: nothing names a fleet, or its token is missing; with what to do about it.
    """
    if url is not None and state is not None:
        raise Stop("--url and --state name two fleets; give one of them", Exit.USAGE)
    address = url or (environ.get("TMPNB_URL") if state is None else None)
    directory = FleetDirectory.at(state or environ.get("TMPNB_STATE") or DEFAULT_STATE)
    if address:
        return Access(_usable(address), _token(environ, directory, address))
    local = _published_url(directory)
    if local is None:
        raise Stop(
            f"no fleet here: {directory.root} is not the state directory of a `tmpnb up`; "
            "name a redirector with --url or TMPNB_URL, or a directory with --state",
            Exit.USAGE,
        )
    return Access(_usable(local), _read_token(directory.admin_token))


def _published_url(directory: FleetDirectory) -> str | None:
    try:
        return directory.published_url()
    except PermissionError as problem:
        raise Stop(f"the state directory {directory.root} belongs to another user", Exit.USAGE) from problem


def _usable(address: str) -> str:
    try:
        return checked_url(address)
    except ValueError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem


def _token(environ: Mapping[str, str], directory: FleetDirectory, address: str) -> str:
    if token := environ.get("TMPNB_TOKEN", "").strip():
        return _sendable(token, "TMPNB_TOKEN")
    if file := environ.get("TMPNB_TOKEN_FILE"):
        return _read_token(Path(file))
    # The fleet in this directory may be named by its address, too; its token goes to no other.
    local = _published_url(directory)
    if local is not None and local.rstrip("/") == address.rstrip("/"):
        return _read_token(directory.admin_token)
    raise Stop("the admin token is missing: put it in TMPNB_TOKEN, or its file's name in TMPNB_TOKEN_FILE", Exit.USAGE)


def _read_token(file: Path) -> str:
    return _sendable(read_secret(file), str(file))


def read_secret(file: Path) -> str:
    """The first word of a secret's file, `-` for standard input: while a token is changed, the new one stands first.

    Raises:
        Stop: it cannot be used.
    """
    if file == Path("-"):
        return next(iter(sys.stdin.read().split()), "")
    try:
        return secret_files.read(file)[0]
    except secret_files.SecretFileError as problem:
        raise Stop(f"the token file {file} {problem}", Exit.USAGE) from problem


def _sendable(word: str, source: str) -> str:
    """The token of a word that may have a name before it. What could not travel in a header is refused unrepeated."""
    token = parse_token(word).token
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Stop(f"{source} holds no token: one word of plain characters is wanted", Exit.USAGE)
    return token
