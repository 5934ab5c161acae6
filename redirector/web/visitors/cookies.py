"""The visitor's cookie, as browsers want it: plain, behind TLS, or in a frame on somebody else's site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from flask import Response, request

from redirector.model.visitor_cookie import LASTS_SECONDS, Seal, Visitor
from redirector.settings.table import Settings
from tmpnb_common.fetch_metadata import FRAMES

NAME = "tmpnb"


class Cookies:
    """Reads and sets it. Until there is a key to sign with, everyone is a stranger."""

    def __init__(self, settings: Settings, keys: Callable[[], Sequence[str]]) -> None:
        self._always_tls = settings.entry_url.startswith("https://")
        self._keys = keys
        self._seal: Seal | None = None

    def read(self) -> Visitor:
        """Who asks."""
        if "HTTP_COOKIE" not in request.environ:  # a newcomer, as in every crowd: nothing to be parsed
            return Visitor()
        value, seal = request.cookies.get(_name(tls=self._tls())), self._sealing()
        return seal.read(value) if value and seal is not None else Visitor()

    def write(self, response: Response, visitor: Visitor) -> None:
        """Remember them."""
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
