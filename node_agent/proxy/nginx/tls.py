"""nginx's doors: where it listens, and with which certificate. Settings in, text out."""

from __future__ import annotations

from node_agent.settings.table import NodeSettings
from node_agent.settings.values import Address

TLS_LINES = (
    "ssl_protocols TLSv1.2 TLSv1.3;",
    # Of TLS 1.2 only what keeps past conversations secret when a key is lost; 1.3 has nothing else.
    "ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
    "ssl_prefer_server_ciphers off;",
    "ssl_session_cache shared:tls:10m;",
    "ssl_session_timeout 1d;",
    # A ticket's key would stay the same until nginx restarts, and with it whatever was recorded could be read.
    "ssl_session_tickets off;",
)

HSTS_SECONDS = 31_536_000
"""A year, for the node's own name: what lives below it may have no certificate."""


def listen_lines(settings: NodeSettings) -> list[str]:
    """What makes the node's server listen."""
    if not settings.speaks_tls:
        return [f"listen {place(settings.listen)};"]
    return [
        f"listen {place(settings.listen)} ssl http2;",
        f"ssl_certificate {settings.tls_cert};",
        f"ssl_certificate_key {settings.tls_key};",
        *TLS_LINES,
    ]


def header_lines(settings: NodeSettings) -> list[str]:
    """Headers that only an answer over TLS may bear."""
    return [f'add_header Strict-Transport-Security "max-age={HSTS_SECONDS}" always;'] if settings.speaks_tls else []


def place(address: Address) -> str:
    """Write an address for `listen`. All of IPv6 stands for all of IPv4 too, as one expects from other programs."""
    return f"{address} ipv6only=off" if address.host == "::" else str(address)
