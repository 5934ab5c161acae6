"""Where a node may send its visitors: to its own origin, or to a host below its own."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from redirector.model.nodes import Node
from redirector.node_client.resolver import is_address
from tmpnb_common.json_object import JsonError

_LABELS = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
"""What stands before a node's own host where every sandbox has one of its own."""


def sandbox_url(node: Node, url: str) -> str:
    """Where the visitor goes: a path on the node's own origin, or an address on it or on a host below its own.

    Invariant: scheme and port are those at which visitors reach the node, so that no node sends them anywhere else.

    Raises:
        JsonError: the node points anywhere else, or to what is no address.
    """
    shown = f"claim: url {url!r:.60}"
    try:
        parts, own = urlsplit(url), urlsplit(node.url)
        path = unquote(parts.path)
        port, own_port = _port(parts), _port(own)
    except ValueError:
        raise JsonError(f"{shown} is no address") from None
    if (
        not url.isascii()
        or not url.isprintable()
        or " " in url
        or "\\" in path
        or any(part in (".", "..") for part in path.split("/"))
    ):
        raise JsonError(f"{shown} is no address")
    if url.startswith("/") and not parts.netloc:
        return f"{node.url}{url}"
    host, own_host = parts.hostname or "", own.hostname or ""
    below = host.removesuffix(f".{own_host}") if host.endswith(f".{own_host}") and not is_address(own_host) else ""
    if host != own_host and not _LABELS.fullmatch(below):
        raise JsonError(f"claim: url leads to {host!r:.60}, which is not the node's own host")
    if "@" in parts.netloc:
        raise JsonError(f"{shown} holds a user name")
    if (parts.scheme, port) != (own.scheme, own_port):
        raise JsonError(f"{shown} has another scheme or port than the node's own {own.scheme}, {own_port}")
    return url


def _port(parts: SplitResult) -> int | None:
    """The port of an address, be it left out.

    Raises:
        ValueError: it is none.
    """
    port = {"http": 80, "https": 443}.get(parts.scheme) if parts.port is None else parts.port
    if port == 0:
        raise ValueError("nobody listens at port 0")
    return port


def with_query(url: str, query: str) -> str:
    """An address with a query added to the one that it may have."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"
