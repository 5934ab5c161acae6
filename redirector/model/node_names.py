"""What a node may be called, and how its address is spelled. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from redirector.errors import BadRequestError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def checked_name(name: str) -> str:
    """A node's name as it is.

    Raises:
        BadRequestError: it is none.
    """
    if not NAME.fullmatch(name):
        raise BadRequestError(
            f"{name!r:.80} is no name for a node: use a to z, 0 to 9 and hyphens inside, at most 63 characters"
        )
    return name


def default_name(url: str, own_name: str) -> str:
    """The node's own name where that is valid, else one made from the URL's host and port."""
    if NAME.fullmatch(own_name):
        return own_name
    parts = urlsplit(url)
    made = re.sub(r"[^a-z0-9]+", "-", f"{parts.netloc}{parts.path}".lower()).strip("-")
    return made[:63].strip("-")


def normalised_url(text: str) -> str:
    """One spelling for one address, so that a node cannot be added twice by letter case, port or trailing slash.

    Raises:
        BadRequestError: it is no address of a node.
    """
    shown = f"{text!r:.80}"
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadRequestError(f"{shown} is no URL of a node")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadRequestError(f"{shown} is no URL of a node") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise BadRequestError(f"{shown} is no URL of a node: it has to start with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise BadRequestError("the URL of a node holds no user name or password: a token goes into a file")
    if "?" in text or "#" in text:
        raise BadRequestError(f"{shown} is no URL of a node: it has a query or a fragment")
    if any(part in (".", "..") for part in parts.path.split("/")):
        raise BadRequestError(f"{shown} is no URL of a node: its path has dots for a segment")
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{parts.path.rstrip('/')}"
