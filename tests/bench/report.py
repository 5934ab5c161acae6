"""How benchmarks say what they measured: one table each, with medians, and the machine they ran on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """The outcome of one benchmark; `notes` says what the rows are measured against."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: str = ""

    def __str__(self) -> str:
        widths = [max(len(row[at]) for row in [self.columns, *self.rows]) for at in range(len(self.columns))]
        lines = [self.title, ""]
        for row in [self.columns, ["-" * width for width in widths], *self.rows]:
            first, *rest = zip(row, widths, strict=True)
            cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *(["", self.notes] if self.notes else []), ""])


def machine() -> str:
    """One line about what the numbers were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {cpu}, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of the sorted values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def milliseconds(values: Sequence[float]) -> str:
    """The median of durations given in seconds."""
    return f"{statistics.median(values) * 1000:.0f} ms"
