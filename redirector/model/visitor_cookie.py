"""What a visitor's cookie remembers: their place in the waiting room, and the sandboxes that are theirs. Pure.

What it says is checked: a sandbox is only returned to on a node of the fleet, and only while it lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

MOST_SANDBOXES = 4
"""Sandboxes of one visitor that are remembered, the latest for each key."""


@dataclass(frozen=True, slots=True)
class KnownSandbox:
    """A sandbox that was given to this visitor. `base` is its address without any path inside it."""

    node: str
    name: str
    base: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """What is known of whoever asks. Nothing, for most."""

    ticket: str = field(default="", repr=False)
    sandboxes: Mapping[str, KnownSandbox] = field(default_factory=dict)
    """By `sandbox_key`, the latest last."""
    framed: bool = False
    """In a frame on somebody else's site. Of what follows in it, browsers no longer tell that it is one."""

    def with_ticket(self, ticket: str) -> Visitor:
        """The visitor, with a place in the waiting room."""
        return replace(self, ticket=ticket)

    def with_sandbox(self, key: str, sandbox: KnownSandbox) -> Visitor:
        """The visitor, with a sandbox and no place in the waiting room any more."""
        others = [(name, other) for name, other in self.sandboxes.items() if name != key]
        return replace(self, ticket="", sandboxes=dict([*others[1 - MOST_SANDBOXES :], (key, sandbox)]))

    def without_oldest(self) -> Visitor:
        """The visitor, without the sandbox that was given to them longest ago."""
        return replace(self, sandboxes=dict(list(self.sandboxes.items())[1:]))


def sandbox_key(pool: str, content: str = "") -> str:
    """What a visitor has one sandbox for: a pool and, where sandboxes come with content, that content's identity."""
    return f"{pool} {content}" if content else pool


def base_of(url: str) -> str:
    """A sandbox's address without the path inside it, which is where its key ends: `http://host/user/<key>`.

    Where sandboxes have origins of their own, and no key in the path, it is the origin.
    """
    parts = urlsplit(url)
    before, user, rest = parts.path.partition("/user/")
    path = f"{before}{user}{rest.partition('/')[0]}" if user else ""
    return f"{parts.scheme}://{parts.netloc}{path}"
