"""An operator's session in the browser: a signed cookie, made of the admin token and worth nothing without it.

There is no table of sessions and no key of their own. Each session is signed with the admin token that opened it, so
that it ends with that token, on every worker and host at once. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field

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


def opened(token: str, operator: str, now: float, nonce: str) -> str:
    """The cookie of a fresh session."""
    name = urlsafe_b64encode(operator[:NAME_LIMIT].encode()).decode()
    claim = f"{int(now) + SESSION_SECONDS}.{nonce}.{name}"
    return f"{claim}.{_signed(token, 'session', claim)}"


def session_of(cookie: str, tokens: tuple[str, ...], now: float) -> Session | None:
    """The session that a cookie stands for; None if it is over, or never was."""
    if len(cookie) > COOKIE_LIMIT or not cookie.isascii():
        return None
    claim, _, signature = cookie.rpartition(".")
    # All of them, so that the time taken tells nothing about which one was nearly right.
    signers = [token for token in tokens if hmac.compare_digest(_signed(token, "session", claim), signature)]
    if not signers:
        return None
    ends, nonce, name = claim.split(".")
    if int(ends) <= now:
        return None
    try:
        operator = urlsafe_b64decode(name).decode()
    except (NotBase64, UnicodeDecodeError):
        return None
    return Session(operator, signers[0], _signed(signers[0], "csrf", nonce))


def same_secret(given: str, wanted: str) -> bool:
    """Compare without telling by the time taken how much of it was right."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _signed(token: str, purpose: str, text: str) -> str:
    return hmac.new(token.encode(), f"tmpnb dashboard {purpose}\0{text}".encode(), hashlib.sha256).hexdigest()
