"""The one reader of JSON from outside: bytes or a parsed object in, a frozen dataclass out, once, at the edge.

A dataclass's annotations are the format: what may be missing has a default, limits stand in `msgspec.Meta`, and fields
that the dataclass does not have are ignored. The same dataclasses are what the API's description is made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from tmpnb_common.paths import PATH_LIMIT

TEXT_LIMIT = 4096
"""Longest text, in characters, that a field may hold."""

COUNT_LIMIT = 2**53
"""No count is as large: what follows the largest one has to fit into a database, and every JSON reader knows it."""

LINE_LIMIT = 2000
"""Characters in one line that somebody typed: more than a reason needs, and a URL may have."""

LATEST = 2**33
"""Seconds since 1970: in the year 2242."""

_CONTROLS = r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
"""Control characters and invisible ones, which break lines or hide and turn around what stands beside them."""

LINE_PATTERN = rf"^[^{_CONTROLS}]*$(?!\n)"
TICKET_PATTERN = r"^[A-Za-z0-9_-]{22,128}$(?!\n)"
"""Python's `$` also matches before a last newline."""

TICKET = re.compile(TICKET_PATTERN)

Count = Annotated[int, Meta(ge=0, lt=COUNT_LIMIT, description="a whole number from 0")]
Text = Annotated[
    str, Meta(max_length=TEXT_LIMIT, pattern=r"^[^\x00]*$", description=f"a text of at most {TEXT_LIMIT} characters")
]
Line = Annotated[
    str,
    Meta(
        max_length=LINE_LIMIT,
        pattern=LINE_PATTERN,
        description=f"a text of at most {LINE_LIMIT} characters in one line",
    ),
]
Ticket = Annotated[
    str, Meta(max_length=128, pattern=TICKET_PATTERN, description="22 to 128 characters of A-Z a-z 0-9 _ -")
]
MaybeTicket = Annotated[
    str,
    Meta(max_length=128, pattern=r"^([A-Za-z0-9_-]{22,128})?$(?!\n)", description="a ticket that was given out"),
]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="a SHA-256 in 64 characters of 0-9 a-f")]
MaybeDigest = Annotated[
    str, Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)", description="a SHA-256 in 64 characters of 0-9 a-f, or empty")
]
InnerPath = Annotated[
    str, Meta(max_length=PATH_LIMIT, description=f"a path of at most {PATH_LIMIT} characters inside a sandbox")
]
Moment = Annotated[float, Meta(ge=0, lt=LATEST, description="a time in seconds since 1970")]

Shape = TypeVar("Shape")


class JsonError(ValueError):
    """JSON from outside has another form than its reader needs. The text is a sentence that names the field."""


def decode(shape: type[Shape], body: bytes | str, what: str = "") -> Shape:
    """Read JSON text into a dataclass, or whatever else `shape` annotates.

    Args:
        shape: the type to read.
        body: the JSON text.
        what: what the text is, to begin an error's sentence with; empty for a request's body.

    Raises:
        JsonError: the text is not JSON, or a field is missing or has a wrong value.
    """
    hint: Any = shape  # mypy takes no class for hashable
    decoder: msgspec.json.Decoder[Shape] = _decoder(hint)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise JsonError(_sentence(shape, str(error), what)) from None
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors, as are those of a wrong encoding
        raise JsonError(f"{what or 'the body'} is not JSON") from None


def convert(shape: type[Shape], raw: object, what: str = "") -> Shape:
    """Read an object that JSON was parsed into already; the rest as for `decode`.

    Raises:
        JsonError: a field is missing or has a wrong value.
    """
    try:
        return msgspec.convert(raw, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise JsonError(_sentence(shape, str(error), what)) from None


def decode_request(shape: type[Shape], body: bytes) -> Shape:
    """Read a request's body. No body at all is an empty object, and a field that is null counts as missing.

    Raises:
        JsonError: the body is not a JSON object, or a field is missing or has a wrong value.
    """
    fields = decode(dict[str, Any], body) if body.strip() else {}
    return convert(shape, without_nulls(fields))


def without_nulls(fields: Mapping[str, object]) -> dict[str, object]:
    """Leave out the fields of an object that are null, where null means the same as a missing field."""
    return {name: value for name, value in fields.items() if value is not None}


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


_PLACE = re.compile(r" - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")


def _sentence(shape: Any, message: str, what: str) -> str:
    """Put msgspec's message, such as "Expected `int`, got `str` - at `$.pools[...].available`", into our words."""
    place = _PLACE.search(message)
    path = place["path"].lstrip(".") if place else ""
    problem = message[: place.start()] if place else message
    begin = f"{what}: " if what else ""
    if missing := _MISSING.match(problem):
        path = f"{path}{'.' if path else ''}{missing['field']}"
        description = _description(shape, path)
        return f"{begin}{path} is missing{': ' if description else ''}{description}"
    if not path:
        return (
            f"{what or 'the body'} is not a JSON object" if problem.startswith("Expected `object`") else begin + problem
        )
    if place and place["key"]:
        return f"{begin}a name in {path} has a wrong form"
    description = _description(shape, path)
    return f"{begin}{path} has to be {description}" if description else f"{begin}{path}: {problem.replace('`', '')}"


_WORDS: Mapping[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list",
    Mapping: "an object",
}


def _description(kind: Any, path: str) -> str:
    """What the value at a path inside a type has to be; empty where nothing is said of it."""
    for step in _STEP.findall(path):
        kind = _bare(kind)
        if step.startswith("["):
            kind = next((one for one in reversed(get_args(kind)) if one is not ...), None)
        else:
            kind = get_type_hints(kind, include_extras=True).get(step) if isinstance(kind, type) else None
    kind = _optional(kind)
    words = [one.description for one in getattr(kind, "__metadata__", ()) if isinstance(one, Meta) and one.description]
    if words:
        return words[-1]
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    return _WORDS.get(get_origin(kind) or kind, "")


def _optional(kind: Any) -> Any:
    """The type of what may also be null, or missing."""
    kinds = [one for one in get_args(kind) if one not in (NoneType, msgspec.UnsetType)]
    return kinds[0] if NoneType in get_args(kind) and len(kinds) == 1 else kind


def _bare(kind: Any) -> Any:
    """A type without its annotation, and without null."""
    kind = _optional(kind)
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
