"""Tokens: who may change the fleet, and who may join it."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from flask import Response, request

from redirector.web.failures import failure

SCHEMES = ("bearer", "token")
"""The second is how tmpnb had it."""


def admin_only(tokens: tuple[str, ...]) -> Callable[[], Response | None]:
    """A check to run before a blueprint's views. Without any token configured nobody gets in."""
    return _holders_only(tokens, "admin", "The admin API is closed", "TMPNB_ADMIN_TOKEN")


def joiners_only(tokens: tuple[str, ...]) -> Callable[[], Response | None]:
    """The same for nodes that come by themselves."""
    return _holders_only(tokens, "join", "No node may join by itself", "TMPNB_JOIN_TOKEN")


def _holders_only(tokens: tuple[str, ...], kind: str, closed: str, setting: str) -> Callable[[], Response | None]:
    def check() -> Response | None:
        if not tokens:
            return failure(
                503, f"no_{kind}_token", f"{closed}: the redirector has neither {setting} nor {setting}_FILE."
            )
        scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in SCHEMES or not offered.strip():
            response = failure(401, "unauthorized", f"This needs the {kind} token: Authorization: Bearer …")
            response.headers["WWW-Authenticate"] = f'Bearer realm="tmpnb {kind}"'
            return response
        given = offered.strip().encode()
        # All of them, so that the time taken tells nothing about which one was nearly right.
        matches = [hmac.compare_digest(given, token.encode()) for token in tokens]
        return None if any(matches) else failure(403, "forbidden", f"This is not the {kind} token.")

    return check
