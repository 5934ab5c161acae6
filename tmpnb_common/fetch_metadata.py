"""What browsers themselves say a request is for: the headers `Sec-Fetch-…` of https://www.w3.org/TR/fetch-metadata/.

They send them where the way is safe, with TLS or on this host, and no page can change them. An entry that led whatever
asks to a sandbox would tell the page around it where that is: browsers show the end of a redirect to a page's script in
the history of a frame, also of one that was blocked, and in reports about what a stylesheet loads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Purpose = Literal["visit", "frame", "part"]

PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""Headers in which browsers of today and yesterday say why they ask."""

FRAMES = ("iframe", "frame", "object", "embed", "fencedframe")


def purpose(mode: str, destination: str, site: str) -> Purpose:
    """What becomes of the answer.

    Args:
        mode: the request's `Sec-Fetch-Mode`; empty if it has none, as of programs and of browsers without TLS.
        destination: its `Sec-Fetch-Dest`, likewise.
        site: its `Sec-Fetch-Site`, likewise.

    Returns:
        `visit` for a page that its reader sees, in a window or in a frame that a page of the same origin leads on;
        `frame` for one that another origin's page frames, or tries to; `part` for a piece of a page, such as an image
        or a stylesheet, and for what a script reads.
    """
    if destination in FRAMES:
        return "visit" if site == "same-origin" else "frame"
    return "visit" if mode in ("", "navigate") else "part"


def prefetches(purposes: Iterable[str]) -> bool:
    """Whether a browser fetches ahead of a click that may never come, by what the headers `PURPOSES` say."""
    return any("prefetch" in purpose.lower() or "preview" in purpose.lower() for purpose in purposes)


def is_phone(mobile: str, user_agent: str) -> bool:
    """Whether a browser says that it runs on a phone: by `Sec-CH-UA-Mobile`, or where that is missing by its name."""
    return mobile == "?1" if mobile else "Mobi" in user_agent
