"""A sandbox: its name, its secret key and its state."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Base32 in lower case: fit for URLs, file names and DNS labels alike."""

NAME_LENGTH = 8
SECRET_LENGTH = 26
"""26 letters of 5 bits each: 130 bits."""

KEY_LENGTH = NAME_LENGTH + SECRET_LENGTH

State = Literal["starting", "ready", "claimed", "ending", "trial"]

_KEY = re.compile(f"[a-z2-7]{{{KEY_LENGTH}}}")
_KEYS_IN_TEXT = re.compile(f"(?<![a-z0-9])([a-z2-7]{{{NAME_LENGTH}}})[a-z2-7]{{{SECRET_LENGTH}}}(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One visitor's Jupyter server, or one that waits for a visitor. Times are seconds since 1970."""

    key: str
    pool: str
    image: str
    state: State
    created_at: float
    claimed_at: float | None = None
    visited: bool = False
    """Its visitor has come: somebody asked it, or the node about it, for anything."""
    last_activity: float | None = None
    """When somebody or something was last seen at work in it; None: not since its claim."""
    busy: bool = False
    """A kernel was computing when Jupyter was last asked."""
    memory: int = 0
    """Bytes that it used when it was last looked at."""
    attempt: str = ""
    """The claim, of those with its ticket, that was the last to get it; empty: one that cannot be abandoned."""

    @property
    def name(self) -> str:
        return name_of(self.key)

    def __repr__(self) -> str:
        """Without the key: what is printed ends up in a log."""
        return f"Sandbox({self.name}, {self.pool}, {self.state})"


def new_key(choose: Callable[[str], str]) -> str:
    """A fresh key: public name and secret, without a separator. `choose` picks one letter, such as `secrets.choice`."""
    return "".join(choose(ALPHABET) for _ in range(KEY_LENGTH))


def name_of(key: str) -> str:
    return key[:NAME_LENGTH]


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def base_path(key: str) -> str:
    return f"/user/{key}/"


def redact(text: str) -> str:
    """`text` with every sandbox key in it cut to the sandbox's name."""
    return _KEYS_IN_TEXT.sub(r"\1[key]", text)
