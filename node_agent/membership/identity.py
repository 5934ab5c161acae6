"""Who this node is, over restarts: its id and its tokens."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from node_agent import files
from node_agent.directories import StateDirectory
from node_agent.errors import HostError
from tmpnb_common import secret_files

MIN_TOKEN_LENGTH = 22
"""128 bits in base64 or longer."""

TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells this node, and this start of its agent, from every other."""

    node_id: str
    """Made at the first start, kept for ever: notices another machine behind the same address."""
    boot_id: str
    """One per start of the agent."""
    tokens: tuple[str, ...]
    """The first is the one to hand out; others are valid too, so that it can be changed without downtime."""

    def admits(self, token: str) -> bool:
        """Whether `token` is one of the node's, in a time that says nothing about how nearly it was."""
        given = token.encode()
        return any([compare_digest(given, known.encode()) for known in self.tokens])  # noqa: C419 - no short cut

    def __repr__(self) -> str:
        """Without the tokens: what is printed ends up in a log."""
        return f"Identity({self.node_id}, {self.boot_id})"


def load(state_dir: Path, token_file: Path, make: Callable[[], str]) -> Identity:
    """Read who this node is; what is not there yet is made. `make` yields fresh random text, 22 characters or more.

    Raises:
        HostError: the directory or a file in it cannot be used, and why.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        node_file = StateDirectory(state_dir).node
        node = files.read_json(node_file)
        if node is None:
            node = {"node_id": make()}
            files.write_json(node_file, node)
        if not token_file.exists():
            files.write_text(token_file, make() + "\n", mode=0o600)
    except OSError as error:
        raise HostError(f"the state directory cannot be used: {error}") from error
    node_id = node.get("node_id")
    if not isinstance(node_id, str) or not node_id:
        raise HostError(f"{node_file} holds no node_id. Mend or remove it.")
    return Identity(node_id, make(), read_tokens(token_file))


def fresh_token() -> str:
    """Random text that nobody guesses, fit for URLs, headers and file names."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def read_tokens(path: Path) -> tuple[str, ...]:
    """The tokens in a file, the one to hand out first.

    Raises:
        HostError: the file cannot be used, and why.
    """
    try:
        tokens = secret_files.read(path)
    except secret_files.SecretFileError as error:
        raise HostError(f"the token file {path} {error}") from error
    if any(len(token) < MIN_TOKEN_LENGTH or not re.fullmatch(r"[!-~]+", token) for token in tokens):
        raise HostError(f"the token file {path} holds a token of fewer than {MIN_TOKEN_LENGTH} characters")
    return tokens
