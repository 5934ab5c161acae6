"""What the agent writes to stderr: one line an event, and never a key."""

from __future__ import annotations

import logging

from tmpnb_common.keys import redact
from tmpnb_common.log_lines import LineFormatter, Style


def formatter(style: Style) -> logging.Formatter:
    """The last line of defence: whatever is logged, traces too, has its keys cut out."""
    return LineFormatter(style, redact)


def log_to_stderr(style: Style) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(style))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
