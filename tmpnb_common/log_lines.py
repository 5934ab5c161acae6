"""Log lines of nodes and redirectors alike: one line an event, `key=value` or JSON. Standard library only.

Both write the same words for the same things, so that one visitor is followed with grep: from the redirector's `ticket`
to the node's, from there by `sandbox` to nginx's lines.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Style = Literal["text", "json"]

_BARE = re.compile(r"[^\s\"'=\\]+")
"""What needs no quotes as a value."""


_REQUESTS = (
    # gunicorn's, of a request that is none: what it takes for the reason ends where it begins to quote.
    (re.compile(r"(Invalid request from ip=\S*)( [A-Za-z0-9/ ]*[A-Za-z0-9])?.*", re.DOTALL), r"\1\2"),
    # gunicorn's, with method and address.
    (re.compile(r"(Error handling request) [^(].*", re.DOTALL), r"\1"),
)


def without_request(message: str) -> str:
    """`message` without the request that gunicorn quotes in it: line, headers or address, whatever they hold."""
    for pattern, rest in _REQUESTS:
        if pattern.match(message):
            return pattern.sub(rest, message)
    return message


def fields(**values: object) -> dict[str, Any]:
    """For `extra` of a log call: what the line says beside its message."""
    return {"fields": values}


class LineFormatter(logging.Formatter):
    """One line a record, traces included. `clean` has the last word on every text: it cuts out what is secret."""

    def __init__(self, style: Style, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._dump = _json if style == "json" else _text
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": without_request(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return self._clean(self._dump(said))


def _json(said: Mapping[str, object]) -> str:
    return json.dumps(said, default=str, ensure_ascii=False)


def _text(said: Mapping[str, object]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in said.items())


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case str():
            text = value
        case Mapping() | list() | tuple():
            text = json.dumps(value, default=str, ensure_ascii=False)
        case _:
            text = str(value)
    # Quoted as JSON does it: neither a line's end nor a terminal's command passes through.
    return text if _BARE.fullmatch(text) and text.isprintable() else json.dumps(text)
