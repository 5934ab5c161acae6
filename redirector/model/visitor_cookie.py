"""What a visitor's cookie remembers: their place in the waiting room, and the sandboxes that are theirs. Signed.

The signature keeps others from planting a cookie that would lead a visitor elsewhere. What it says is checked all the
same: a sandbox is only returned to on a node of the fleet, and only while it lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

LASTS_SECONDS = 24 * 3600
"""Longer than a session lasts anywhere; what it points to is asked for before it is used. A cookie may come from a host
whose clock is ahead, and so seem to be from the future, by as much.
"""

MOST_HOMES = 4
"""Pools of which one visitor's sandbox is remembered: a cookie ends at 4 kB."""

SALT = "tmpnb-visitor"


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
    homes: Mapping[str, KnownSandbox] = field(default_factory=dict)
    """By pool, the latest last."""
    framed: bool = False
    """In a frame on somebody else's site. Of what follows in it, browsers no longer tell that it is one."""

    def waiting(self, ticket: str) -> Visitor:
        """With a place in the waiting room."""
        return replace(self, ticket=ticket)

    def at_home(self, pool: str, home: KnownSandbox) -> Visitor:
        """With a sandbox, and no place in the waiting room any more."""
        others = [(name, other) for name, other in self.homes.items() if name != pool]
        return replace(self, ticket="", homes=dict([*others[1 - MOST_HOMES :], (pool, home)]))


class Seal:
    """Signs with the first key and accepts all, so that a key can be changed without forgetting anybody."""

    def __init__(self, keys: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # itsdangerous signs with the last.
        self._serializer = URLSafeTimedSerializer(list(reversed(keys)), salt=SALT)

    def write(self, visitor: Visitor) -> str:
        """As the cookie's value."""
        homes = {pool: [home.node, home.name, home.base] for pool, home in visitor.homes.items()}
        value = self._serializer.dumps({"t": visitor.ticket, "h": homes, "f": visitor.framed})
        return value if isinstance(value, str) else value.decode()

    def read(self, value: str) -> Visitor:
        """What is no valid cookie is nobody's."""
        try:
            raw: Any
            raw, written_at = self._serializer.loads(value, return_timestamp=True)
            # Not by `max_age`: it takes no cookie that is a second younger than new.
            if abs(self._clock() - written_at.timestamp()) > LASTS_SECONDS:
                return Visitor()
            homes = {str(pool): KnownSandbox(*map(str, parts)) for pool, parts in raw["h"].items()}
            return Visitor(str(raw["t"]), homes, bool(raw.get("f")))
        except (BadData, KeyError, TypeError, AttributeError):
            return Visitor()


def base_of(url: str) -> str:
    """A sandbox's address without the path inside it, which is where its key ends: `http://host/user/<key>`.

    Where sandboxes have origins of their own, and no key in the path, it is the origin.
    """
    parts = urlsplit(url)
    before, user, rest = parts.path.partition("/user/")
    path = f"{before}{user}{rest.partition('/')[0]}" if user else ""
    return f"{parts.scheme}://{parts.netloc}{path}"
