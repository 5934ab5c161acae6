"""The exit codes of `tmpnb-agent` beside 0."""

from __future__ import annotations

FAILED, USAGE, GUARDED = 1, 2, 5
