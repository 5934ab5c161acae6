"""The visitor's cookie: read, signed and written here alone, as browsers want it: plain, behind TLS, or in a frame on
somebody else's site.

The signature keeps others from planting a cookie that would lead a visitor elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Response, request
from itsdangerous import BadData, URLSafeTimedSerializer

from redirector.model.visitor_cookie import KnownSandbox, Visitor
from redirector.settings.table import RedirectorSettings
from tmpnb_common.fetch_metadata import FRAMES

NAME = "tmpnb"
SALT = "tmpnb-visitor"
FILLING_SALT = "tmpnb-filling"
FILLING_SECONDS = 3600
"""Longer than any page waits for files."""

LASTS_SECONDS = 24 * 3600
"""Longer than a session lasts anywhere; what it points to is asked for before it is used. A cookie may come from a host
whose clock is ahead, and so seem to be from the future, by as much.
"""

LONGEST_VALUE = 3500
"""Characters. Browsers keep 4,096 bytes of a cookie, its name and its attributes included, and drop a longer one."""


class Seal:
    """Signs with the first key and accepts all, so that a key can be changed without forgetting anybody."""

    def __init__(self, keys: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # itsdangerous signs with the last.
        self._serializer = URLSafeTimedSerializer(list(reversed(keys)), salt=SALT)

    def write(self, visitor: Visitor) -> str:
        """The cookie's value. Of more sandboxes than it can hold, the oldest are left out."""
        sandboxes = {key: [each.node, each.name, each.base] for key, each in visitor.sandboxes.items()}
        value = self._serializer.dumps({"t": visitor.ticket, "h": sandboxes, "f": visitor.framed})
        text = value if isinstance(value, str) else value.decode()
        return self.write(visitor.without_oldest()) if len(text) > LONGEST_VALUE and sandboxes else text

    def read(self, value: str) -> Visitor:
        """The visitor whose cookie has this value. What is no valid cookie is nobody's."""
        try:
            raw: Any
            raw, written_at = self._serializer.loads(value, return_timestamp=True)
            # Not by `max_age`: it takes no cookie that is a second younger than new.
            if abs(self._clock() - written_at.timestamp()) > LASTS_SECONDS:
                return Visitor()
            sandboxes = {str(key): KnownSandbox(*map(str, parts)) for key, parts in raw["h"].items()}
            return Visitor(str(raw["t"]), sandboxes, bool(raw.get("f")))
        except (BadData, KeyError, TypeError, AttributeError):
            return Visitor()


@dataclass(frozen=True, slots=True)
class Filled:
    """A sandbox whose home is being filled, for a visitor without cookies: what their page's address says."""

    node: str
    name: str
    ticket: str = field(repr=False)


class Cookies:
    """Reads and sets it. Until there is a key to sign with, everyone is a stranger."""

    def __init__(self, settings: RedirectorSettings, keys: Callable[[], Sequence[str]]) -> None:
        self._always_tls = settings.entry_url.startswith("https://")
        self._keys = keys
        self._seal: Seal | None = None

    def read(self) -> Visitor:
        """The visitor who asks, as their cookie has it."""
        if "HTTP_COOKIE" not in request.environ:  # a newcomer, as in every crowd: nothing to be parsed
            return Visitor()
        value, seal = request.cookies.get(_name(tls=self._tls())), self._sealing()
        return seal.read(value) if value and seal is not None else Visitor()

    def write(self, response: Response, visitor: Visitor) -> None:
        """Remember a visitor in this response."""
        seal, tls = self._sealing(), self._tls()
        if seal is None:
            return
        # In a frame on another site: a cookie of its own for each such site, or none at all. Browsers want TLS for it.
        # Where a page of ours leads on, or its script asks, only the cookie that is sent along knows of the frame.
        framed = tls and (visitor.framed or _in_foreign_frame())
        response.set_cookie(
            _name(tls=tls),
            seal.write(replace(visitor, framed=framed)),
            max_age=LASTS_SECONDS,
            path="/" if tls else request.script_root or "/",
            secure=tls,
            httponly=True,
            samesite="None" if framed else "Lax",
            partitioned=framed,
        )

    def note_frame(self, response: Response) -> Response:
        """Remember that they come in a frame on another site, of which browsers tell at its first request alone."""
        if _in_foreign_frame():
            self.write(response, self.read())
        return response

    def seal_filling(self, filled: Filled) -> str:
        """What stands for a sandbox in the address of the page that waits for its files; empty: nobody can sign yet."""
        serializer = self._filling_serializer()
        text = serializer.dumps([filled.node, filled.name, filled.ticket]) if serializer else ""
        return text if isinstance(text, str) else text.decode()

    def read_filling(self, text: str) -> Filled | None:
        """The sandbox that such an address stands for; None if it stands for none, or did so long ago."""
        serializer = self._filling_serializer()
        try:
            return Filled(*map(str, serializer.loads(text, max_age=FILLING_SECONDS))) if serializer else None
        except (BadData, TypeError):
            return None

    def _filling_serializer(self) -> URLSafeTimedSerializer | None:
        keys = self._keys()
        return URLSafeTimedSerializer(list(reversed(keys)), salt=FILLING_SALT) if keys else None

    def _sealing(self) -> Seal | None:
        if self._seal is None and (keys := self._keys()):
            self._seal = Seal(keys)
        return self._seal

    def _tls(self) -> bool:
        return self._always_tls or request.is_secure


def _name(*, tls: bool) -> str:
    # The prefix keeps neighbours below the same domain from setting it.
    return f"__Host-{NAME}" if tls else NAME


def _in_foreign_frame() -> bool:
    headers = request.headers
    return headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Dest") in FRAMES
