"""What the redirector writes to stderr: one line an event, in the same hand as the nodes, and never a sandbox's key."""

from __future__ import annotations

import re
from typing import Any

from tmpnb_common import keys
from tmpnb_common.log_lines import LineFormatter, Style

_TICKET = re.compile(r"(/wait/)(?!\[ticket\])[^/\s\"'?#\\]+")
"""Whoever has a ticket has the place in the queue, and then the sandbox."""


def redact(text: str) -> str:
    """`text` with each sandbox key in it cut to the sandbox's name or to nothing, and without tickets in addresses."""
    return _TICKET.sub(r"\1[ticket]", keys.redact(text))


def formatter(style: Style) -> LineFormatter:
    """The redirector's own: whatever is logged, traces too, has its keys cut out."""
    return LineFormatter(style, redact)


def log_config(level: str, style: Style) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and for gunicorn, which otherwise writes its own lines in its own hand."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter, "style": style}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"handlers": [], "propagate": True},
            # What it does to the schema is said in our own words.
            "alembic": {"level": "WARNING"},
            # A line a request is for nginx in front, and the server of event streams starts and ends without words.
            "httpx": {"level": "WARNING"},
            "uvicorn": {"level": "WARNING"},
        },
    }
