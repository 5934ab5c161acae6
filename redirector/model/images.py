"""What nodes say of images: how far one has been fetched, and what a trial sandbox came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far a node is with an image that a pool is to be moved to."""

    there: bool
    progress: str = ""
    problem: str = ""
    """Why it does not come."""


@dataclass(frozen=True, slots=True)
class Selftest:
    """What a node's trial sandbox came to."""

    passed: bool
    message: str
    measured: Mapping[str, Any]
