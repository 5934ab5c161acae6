"""nginx's doors: where it listens, with which certificate, and the plain HTTP beside TLS. Settings in, text out."""

from __future__ import annotations

from urllib.parse import urlsplit

from node_agent.settings.table import Settings
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


def listen_lines(settings: Settings) -> list[str]:
    """What makes the node's server listen."""
    if not settings.speaks_tls:
        return [f"listen {_place(settings.listen)};"]
    return [
        f"listen {_place(settings.listen)} ssl http2;",
        f"ssl_certificate {settings.tls_cert};",
        f"ssl_certificate_key {settings.tls_key};",
        *TLS_LINES,
    ]


def header_lines(settings: Settings) -> list[str]:
    """Headers that only an answer over TLS may bear."""
    return [f'add_header Strict-Transport-Security "max-age={HSTS_SECONDS}" always;'] if settings.speaks_tls else []


def plain_server(settings: Settings) -> list[str]:
    """A server on plain HTTP: tells certificate authorities what certbot left, and sends everybody else to TLS."""
    if settings.http_listen is None:
        return []
    port = urlsplit(settings.url).port
    return [
        "server {",
        f"    listen {_place(settings.http_listen)};",
        "    location /.well-known/acme-challenge/ {",
        f"        root {settings.acme_dir};",
        "        default_type text/plain;",
        "    }",
        "    location / {",
        f"        return 301 https://$host{f':{port}' if port else ''}$request_uri;",
        "    }",
        "}",
    ]


def until_certified(settings: Settings, *, as_root: bool) -> str:
    """A whole configuration with nothing but the plain server, for a node that waits for its first certificate."""
    temporary = f"{settings.run_dir}/nginx"
    return "\n".join(
        [
            "# For the time until the first certificate is there. Written by `tmpnb-agent proxy`.",
            *([f"user {settings.proxy_user};"] if as_root else []),
            "daemon off;",
            f"pid {temporary}/nginx.pid;",
            "error_log stderr notice;",
            "events {}",
            "http {",
            "    error_log /dev/null emerg;",
            "    access_log off;",
            "    server_tokens off;",
            *(
                f"    {kind}_temp_path {temporary}/{name};"
                for kind, name in (
                    ("client_body", "body"),
                    ("proxy", "proxy"),
                    ("fastcgi", "fastcgi"),
                    ("uwsgi", "uwsgi"),
                    ("scgi", "scgi"),
                )
            ),
            *(f"    {line}" for line in plain_server(settings)),
            "}",
            "",
        ]
    )


def _place(address: Address) -> str:
    """All IPv6 addresses stand for all IPv4 addresses too, as one expects from other programs."""
    return f"{address} ipv6only=off" if address.host == "::" else str(address)
