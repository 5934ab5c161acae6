"""A sandbox's public name and secret key, and how keys are kept out of whatever is logged."""

from __future__ import annotations

import re
from collections.abc import Callable

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Base32 in lower case: fit for URLs, file names and DNS labels alike."""


NAME_LENGTH = 8


SECRET_LENGTH = 26
"""26 letters of 5 bits each: 130 bits."""


KEY_LENGTH = NAME_LENGTH + SECRET_LENGTH


_KEY = re.compile(f"[a-z2-7]{{{KEY_LENGTH}}}")


_KEYS_IN_TEXT = re.compile(f"(?<![a-z0-9])([a-z2-7]{{{NAME_LENGTH}}})[a-z2-7]{{{SECRET_LENGTH}}}(?![a-z0-9])")


_FOREIGN_KEY = re.compile(r"(/user/)(?![a-z2-7]{8}\[key\])[^/\s\"'?#\\]+")
"""An original tmpnb's key has no public part, and visitors type what they like."""


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
    """`text` with every sandbox key in it cut to the sandbox's name, or to nothing."""
    return _FOREIGN_KEY.sub(r"\1[key]", _KEYS_IN_TEXT.sub(r"\1[key]", text))
