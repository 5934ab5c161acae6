"""A table of settings as a frozen dataclass: each field says its parser, default, unit and reason where it stands.

A parser takes the text of a setting and returns its value, or raises `ValueError` with the end of a sentence that
begins with the setting's name. A program's `Settings` class is its table; `load` reads it and tells every problem.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tmpnb_common import secret_files

T = TypeVar("T")

SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
"""Bytes of each unit."""

Default = str | Callable[[Mapping[str, Any]], str]
"""A text, or a function of the values of the fields above."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of a settings table."""

    variable: str
    field: str
    parse: Callable[[str], Any]
    default: Default
    shown_default: str
    unit: str
    reason: str
    secret: bool = False
    """Whether its value is kept out of whatever is printed."""


def setting(
    parse: Callable[[str], Any],
    default: Default,
    unit: str,
    reason: str,
    *,
    shown: str | None = None,
    secret: bool = False,
    name: str = "",
    from_file: Callable[[str], Any] | None = None,
    file_reason: str = "",
) -> Any:
    """Declare a field of a settings class.

    `shown` is the default as people read it, where the text itself says too little. `name` is the variable's, without
    the prefix, where it is not the field's. With `from_file` there is a second variable, NAME_FILE, that adds values.
    """
    if shown is None:
        shown = (default if isinstance(default, str) else "") or "none"
    rows = [(name, parse, default, shown, unit, reason, secret)]
    if from_file is not None:
        rows.append((f"{name}_FILE", from_file, "", "none", "file", file_reason, False))
    return dataclasses.field(repr=not secret, metadata={"rows": rows})


def rows_of(table: type, prefix: str) -> tuple[Setting, ...]:
    """Return the rows of a settings class, in its order. A field without a row is computed by the program itself."""
    return tuple(
        Setting(prefix + (name or field.name.upper()), field.name, *rest)
        for field in dataclasses.fields(table)
        for name, *rest in field.metadata.get("rows", ())
    )


def load(table: Iterable[Setting], environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the value of each field whose text is right, and a sentence for each that is not.

    Values of two rows of one field, such as a token and a file of tokens, are put together.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for row in table:
        text = environment.get(row.variable)
        if text is None:
            # A default that follows from a setting that is itself wrong would only be reported a second time.
            if callable(row.default) and problems:
                continue
            text = row.default(values) if callable(row.default) else row.default
        try:
            value = row.parse(text)
        except ValueError as error:
            problems.append(f"{row.variable} {error}")
            continue
        if row.field in values:
            value = tuple(dict.fromkeys((*values[row.field], *value)))
        values[row.field] = value
    return values, problems


def misspelt(environment: Iterable[str], prefix: str, known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none: it would silently have no effect."""
    known = tuple(known)
    problems = []
    for name in sorted(environment):
        if name.startswith(prefix) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return problems


def count(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within these bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"is {text!r:.40}, not a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of seconds within these bounds, fractions allowed."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"is {text!r:.40}, not a number of seconds from {low:g} to {high:g}")
        return value

    return parse


def size(low: int) -> Callable[[str], int]:
    """Bytes, at least `low` of them."""

    def parse(text: str) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([kmg]?)", text.lower())
        if match is None or int(match[1]) * SIZES[match[2]] < low:
            raise ValueError(f"is {text!r:.40}, not a size of at least {low} bytes such as 512m or 2g")
        return int(match[1]) * SIZES[match[2]]

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that takes these words and nothing else."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is {text!r:.40}, not one of {', '.join(words)}")
        return text

    return parse


def switch(text: str) -> bool:
    return one_of("0", "1")(text) == "1"


def matching(pattern: str, what: str, *, shown: bool = True) -> Callable[[str], str]:
    """Return a parser of texts that match as a whole; `what` names them in the message.

    `shown` says whether a wrong text may be repeated in the message, which a secret may not.
    """

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"is {text!r:.60}, not {what}" if shown else f"is not {what}")
        return text

    return parse


def sites(text: str) -> tuple[str, ...]:
    """Parse origins or *, separated by spaces or commas. A host may begin with `*.`; nothing in it ends a header."""
    words = tuple(text.replace(",", " ").split())
    for site in words:
        if not re.fullmatch(r"https?://((\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]+|\*))?|\*", site):
            raise ValueError(f"holds {site!r:.60}, which is no origin such as https://www.example.org")
    return words


def optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return a parser that takes an empty text for None, and leaves any other to `parse`."""
    return lambda text: parse(text) if text else None


def secrets_in_file(parse: Callable[[str], tuple[str, ...]]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser that takes the path of a file and gives its words to `parse`; an empty path has none."""

    def read(text: str) -> tuple[str, ...]:
        if not text:
            return ()
        try:
            return parse(" ".join(secret_files.read(Path(text))))
        except secret_files.SecretFileError as error:
            raise ValueError(f"names the file {text!r}, which {error}") from None

    return read
