"""Small pieces of what people read at a terminal."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """An epilog that shows how a command is used; the mark keeps click from joining its lines."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def plain(text: str) -> str:
    """`text` without what a terminal would obey: it may come from a node that means ill."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def ago(moment: float | None, now: float) -> str:
    return "" if moment is None else f"{span(max(0.0, now - moment))} ago"


def span(seconds: float) -> str:
    """A duration in the one unit that tells its size, such as `40 s` or `3 h`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
