"""JSON that came with a request, read once into plain typed values."""

from __future__ import annotations

import json
from typing import Any

from flask import request

from redirector.errors import BadRequestError

TEXT_LIMIT = 2000
"""Characters in one text: more than a reason needs, and a URL may have."""

LATEST = 2**33
"""Seconds since 1970: in the year 2242."""


class Body:
    """One JSON object. What is missing or null has the default; what has the wrong type is a `BadRequestError`."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def text(self, name: str, default: str = "") -> str:
        """A short text without control characters."""
        value = self._raw.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > TEXT_LIMIT or not value.isprintable():
            raise BadRequestError(f"{name} has to be a text of at most {TEXT_LIMIT} characters in one line")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it is missing."""
        value = self._raw.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise BadRequestError(f"{name} has to be true or false")
        return value

    def count(self, name: str, most: int) -> int:
        """A whole number from 0 to `most`; 0 if it is missing."""
        value = self._raw.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise BadRequestError(f"{name} has to be a whole number from 0 to {most}")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of short texts, none twice; empty if it is missing."""
        value = self._raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) and len(each) <= TEXT_LIMIT for each in value):
            raise BadRequestError(f"{name} has to be a list of texts")
        return list(dict.fromkeys(value))

    def moment(self, name: str) -> float:
        """A time in seconds since 1970; 0 if it is missing."""
        value = self._raw.get(name)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
            raise BadRequestError(f"{name} has to be a time in seconds since 1970")
        return float(value)


def read_body() -> Body:
    """The request's body, whatever its content type says. None at all is an empty object.

    Raises:
        BadRequestError: it is not a JSON object.
    """
    sent = request.get_data(cache=False)
    if not sent.strip():
        return Body({})
    try:
        raw = json.loads(sent)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(raw, dict):
        raise BadRequestError("the body is not a JSON object")
    return Body(raw)
