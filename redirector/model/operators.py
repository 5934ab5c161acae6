"""Who did it: the names of operators, and the tokens that prove some of them. Pure.

A token may bear a name (`ann=…` in the token file). What is done with it is done by `ann`, whatever the caller says;
and nobody without it can use that name, so that the history cannot be made to lie.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

TOKEN = re.compile(r"[\x21-\x7e]{16,512}")
NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,59})=(?P<token>[\x21-\x7e]{16,512})")
"""A token of base64 may end with the sign, and then too little follows it for a token."""

NAME_LIMIT = 60
"""Characters of an operator's name."""

OWN_NAMES = frozenset({"poller", "thenodeitself"})
"""What the fleet calls itself in its history, without spaces."""

APART = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})
"""Scripts that look like no other, and that names hold together with each other and with Latin letters."""


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """A token and the name that it proves; empty for one that several people share."""

    token: str = field(repr=False)
    name: str = ""


def parse_token(word: str) -> OperatorToken:
    match = NAMED.fullmatch(word)
    return OperatorToken(match["token"], match["name"]) if match else OperatorToken(word)


def tokens_problem(words: Iterable[str], unnamed_limit: int) -> str:
    """What is wrong with the tokens of one setting, as a predicate; empty if nothing is. No token is repeated in it."""
    words = list(words)
    tokens = [parse_token(word) for word in words]
    if not all(TOKEN.fullmatch(each.token) for each in tokens):
        return "has to hold tokens of 16 to 512 printable ASCII characters, with a name before them (ann=…) or without"
    unnamed = [each for each in tokens if not each.name]
    if len(unnamed) > unnamed_limit:
        return f"holds {len(unnamed)} tokens without a name; at most two are valid at a time"
    names = [each.name.casefold() for each in tokens if each.name]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"holds two tokens of one name, {twice[0]}: give each a name of its own"
    if own := sorted(OWN_NAMES & set(names)):
        return f"gives a token the name {own[0]}, which the fleet itself has in the history"
    secrets = [each.token for each in tokens]
    if len(set(secrets)) < len(secrets):
        return "holds one token twice, under two names"
    return ""


def name_problem(name: str) -> str:
    """Why somebody cannot be called that in the history, as a predicate; empty if they can."""
    if not name.strip() or not name.isprintable() or len(name) > NAME_LIMIT:
        return f"has to be a name of 1 to {NAME_LIMIT} printable characters"
    if name.startswith("-"):
        return "looks like an option"
    if mixes_alphabets(name):
        return "mixes letters of several alphabets, which look like each other's"
    if is_taken(name, ()):
        return "is what the fleet calls itself"
    return ""


def mixes_alphabets(name: str) -> bool:
    """Whether it can look like another name, as one with a Cyrillic letter among Latin ones does."""
    letters = [letter for letter in unicodedata.normalize("NFKC", name) if letter.isalpha()]
    return len({unicodedata.name(letter, "").partition(" ")[0] for letter in letters} - APART) > 1


def is_taken(name: str, token_names: Collection[str]) -> bool:
    """Whether only the fleet itself, or the holder of a token of that name, may be called so."""
    bare = "".join(unicodedata.normalize("NFKC", name).split()).casefold()
    return bare in OWN_NAMES or any(bare == taken.casefold() for taken in token_names)
