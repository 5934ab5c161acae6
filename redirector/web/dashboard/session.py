"""An operator's session in the browser: a signed cookie, made of the admin token and worth nothing without it.

There is no table of sessions and no key of their own. Each session is signed with the admin token that opened it, so
that it ends with that token, on every worker and host at once. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from itsdangerous import BadData, URLSafeSerializer

from redirector.model.operators import NAME_LIMIT

SESSION_SECONDS = 12 * 3600
"""A working day."""

COOKIE_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in."""

    operator: str
    """The name that they gave; what their token proves counts more."""
    signer: str = field(repr=False)
    """The token that opened it."""
    csrf: str = field(repr=False)
    """What every change has to bring along, which no other site can know."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the cookie says; `ends` is in seconds since 1970."""

    ends: int
    nonce: str
    operator: str


def opened(token: str, operator: str, now: float, nonce: str) -> str:
    """The cookie of a fresh session."""
    return _sealed(token, "session", [int(now) + SESSION_SECONDS, nonce, operator[:NAME_LIMIT]])


def session_of(cookie: str, tokens: tuple[str, ...], now: float) -> Session | None:
    """The session that a cookie stands for; None if it is over, or never was."""
    if len(cookie) > COOKIE_LIMIT or not cookie.isascii():
        return None
    # All of them, so that the time taken tells nothing about which one was nearly right.
    for token, claim in [(token, _claim(cookie, token)) for token in tokens]:
        if claim:
            return Session(claim.operator, token, _sealed(token, "csrf", claim.nonce)) if claim.ends > now else None
    return None


def same_secret(given: str, wanted: str) -> bool:
    """Compare without telling by the time taken how much of it was right."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _claim(cookie: str, token: str) -> _Claim | None:
    try:
        return _Claim(*_signer(token, "session").loads(cookie))
    except BadData:
        return None


def _sealed(token: str, purpose: str, value: object) -> str:
    text = _signer(token, purpose).dumps(value)
    return text if isinstance(text, str) else text.decode()


def _signer(token: str, purpose: str) -> URLSafeSerializer:
    # SHA-384 has a multiple of three bytes: no bit of its text in base64 may be changed unnoticed.
    how = {"key_derivation": "hmac", "digest_method": hashlib.sha384}
    return URLSafeSerializer(token, salt=f"tmpnb dashboard {purpose}", signer_kwargs=how)
