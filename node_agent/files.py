"""Durable files of this node, whose faults are errors of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from node_agent.errors import HostError
from tmpnb_common import durable


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file as a whole.

    Raises:
        HostError: the disk did not take it; the old text is still there.
    """
    try:
        durable.write_text(path, text, mode=mode)
    except durable.FileError as error:
        raise HostError(str(error)) from error


def write_json(path: Path, value: dict[str, Any], *, mode: int = 0o644) -> None:
    """Replace a file by a JSON object.

    Raises:
        HostError: the disk did not take it; the old object is still there.
    """
    try:
        durable.write_json(path, value, mode=mode)
    except durable.FileError as error:
        raise HostError(str(error)) from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no file.

    Raises:
        HostError: there is something else in it.
    """
    try:
        return durable.read_json(path)
    except durable.FileError as error:
        raise HostError(str(error)) from error
