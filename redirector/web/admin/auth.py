"""Tokens: who may change the fleet, and who may join it."""

from __future__ import annotations

import hmac
import logging
import math
import time
from collections.abc import Callable, Sequence

from flask import Response, g, request

from redirector.errors import BadRequestError
from redirector.memory.bucket_table import BucketTable
from redirector.memory.rate_limits import Allowance, RateLimits
from redirector.model.operators import NAME_LIMIT, is_taken, mixes_alphabets, parse_token
from redirector.settings.table import RedirectorSettings
from redirector.web.failures import failure
from tmpnb_common.log_lines import fields

log = logging.getLogger("web")

SCHEMES = ("bearer", "token")
"""The second is how tmpnb had it."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

WRONG_AT_ONCE = 20
WRONG_PER_MINUTE = 12.0
"""Of wrong tokens from one client address: enough for a script that does not know of a new token yet, and for whoever
mistypes it; nobody guesses 128 bits like that."""


class Keyholders:
    """Those who have one kind of token. Without any token configured nobody gets in.

    Invariant: whoever has to wait learns nothing about a token, not even that it is the right one; and only addresses
    that wrong ones came from have to. Addresses that count for no limit (`TMPNB_CLIENT_FREE`) never do: as shipped
    those of this very host, so that its own operator is never locked out.
    """

    def __init__(
        self,
        kind: str,
        closed: str,
        tokens: Sequence[str],
        limits: RateLimits,
        clock: Callable[[], float],
        *,
        readers: Sequence[str] = (),
    ) -> None:
        """Admit holders of `tokens`, and those of `readers` to what changes nothing.

        `kind` is `admin` or `join`, `closed` the sentence for where there are no tokens.
        """
        self._names = {each.token: each.name for each in map(parse_token, tokens)}
        self._readers = frozenset(readers)
        self.tokens = (*self._names, *readers)
        self._kind = kind
        self._closed = closed
        self._limits = limits
        self._clock = clock

    def must_wait(self) -> int:
        """Seconds until this request's address may try a token; 0 for at once."""
        return math.ceil(self._limits.owed(request.remote_addr or "", self._clock()))

    def signer(self, given: str) -> str:
        """The token that `given` is, or empty; that is counted then.

        A whole line of the token file (`ann=…`) stands for its token: that is what people have at hand.
        """
        # All of them, so that the time taken tells nothing about which one was nearly right.
        for word in (given, parse_token(given).token):
            matches = [token for token in self.tokens if hmac.compare_digest(word.encode(), token.encode())]
            if matches:
                return matches[0]
        self._limits.take(request.remote_addr or "", self._clock())
        log.warning("wrong token", extra=fields(kind=self._kind, address=request.remote_addr or ""))
        return ""

    def check(self) -> Response | None:
        """To run before a blueprint's views."""
        kind = self._kind
        if not self.tokens:
            setting = f"TMPNB_{kind.upper()}_TOKEN"
            message = f"{self._closed}: the redirector has neither {setting} nor {setting}_FILE."
            return failure(503, f"no_{kind}_token", message)
        scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in SCHEMES or not offered.strip():
            response = failure(401, "unauthorized", f"This needs the {kind} token: Authorization: Bearer …")
            response.headers["WWW-Authenticate"] = f'Bearer realm="tmpnb {kind}"'
            return response
        seconds = self.must_wait()
        if seconds:
            response = failure(429, "limited", too_many(seconds))
            response.headers["Retry-After"] = str(seconds)
            return response
        g.signer = self.signer(offered.strip())
        if not g.signer:
            return failure(403, "forbidden", f"This is not the {kind} token.")
        if request.method not in SAFE_METHODS and not self.may_change(g.signer):
            return failure(403, "read_only", "This token only reads; changing something needs the admin token.")
        return None

    def count_wrong(self) -> None:
        """Count a wrong secret of another kind against this request's address."""
        self._limits.take(request.remote_addr or "", self._clock())

    def may_change(self, signer: str) -> bool:
        """Whether a valid token allows more than to look."""
        return signer not in self._readers

    def proven_name(self, signer: str) -> str:
        """The name that a token bears; empty for one without."""
        return self._names.get(signer, "")

    def operator(self, claimed: str, signer: str = "") -> str:
        """Who acts, for the history: the token's name, else what the caller says.

        Args:
            claimed: the caller's word for it; empty if they did not say.
            signer: the token in use; that of this request if it is not given.

        Raises:
            BadRequestError: the name is another token's, or one of the fleet's own.
        """
        proven = self.proven_name(signer or g.signer)
        if proven:
            return proven
        if is_taken(claimed, [name for name in self._names.values() if name]):
            raise BadRequestError(f"the name {claimed!r:.80} is proven by a token of its own, and this is another one")
        if mixes_alphabets(claimed):
            raise BadRequestError(f"the name {claimed!r:.80} mixes letters of several alphabets")
        return claimed[:NAME_LIMIT]


def too_many(seconds: int) -> str:
    return f"Too many wrong tokens came from your address; try again in {seconds} s."


def admins(settings: RedirectorSettings, buckets: BucketTable) -> Keyholders:
    """Operators."""
    readers = settings.read_tokens
    return _keyholders("admin", "The admin API is closed", settings.admin_tokens, settings, buckets, readers)


def joiners(settings: RedirectorSettings, buckets: BucketTable) -> Keyholders:
    """Nodes that come by themselves."""
    return _keyholders("join", "No node may join by itself", settings.join_tokens, settings, buckets)


def _keyholders(  # noqa: PLR0917 - one caller's arguments and the other's
    kind: str,
    closed: str,
    tokens: Sequence[str],
    settings: RedirectorSettings,
    buckets: BucketTable,
    readers: Sequence[str] = (),
) -> Keyholders:
    allowance = Allowance(WRONG_AT_ONCE, WRONG_PER_MINUTE, settings.client_free, settings.client_networks)
    return Keyholders(kind, closed, tokens, RateLimits(allowance, buckets, kind), time.monotonic, readers=readers)
