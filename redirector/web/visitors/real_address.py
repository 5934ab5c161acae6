"""Puts the visitor's own address where the application looks for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from redirector.model.clients import Network, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("web")


class RealAddress:
    """WSGI middleware. `REMOTE_ADDR` is empty afterwards where nobody can tell whose request it is."""

    def __init__(self, app: WSGIApplication, proxies: int, free: Sequence[Network]) -> None:
        self._app = app
        self._proxies = proxies
        self._free = free
        self._warned = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR")
        address = environ["REMOTE_ADDR"] = client_address(peer, forwarded, self._proxies, self._free)
        if forwarded is not None and not address and not self._warned:
            self._warned = True
            log.warning(
                "X-Forwarded-For does not name as many addresses as TMPNB_TRUSTED_PROXIES says (%d): visitors whose "
                "address is unknown share the limits of one",
                self._proxies,
            )
        return self._app(environ, start_response)
