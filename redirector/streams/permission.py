"""Who may launch at all: asked before anything is claimed, of the request's headers alone. Pure.

Link checkers, prefetching browsers and pages that load the address as an image are to take nothing, and neither are
pages of sites that the operator has not named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from redirector.model.foreign_links import fields_of
from redirector.model.launch_events import FailedEvent
from tmpnb_common.fetch_metadata import PURPOSES, prefetches


def refusal(headers: Mapping[str, str], query: str, allowed: Sequence[str], own: str) -> FailedEvent | None:
    """Why a request launches nothing; None: it may.

    Args:
        headers: the request's, by names in lower case.
        query: of its address.
        allowed: origins whose pages may launch, or `*`.
        own: the entry's own origin.
    """
    origin = headers.get("origin", "")
    if "text/event-stream" not in headers.get("accept", "").lower():
        return _no("This address is for programs that read an event stream (Accept: text/event-stream).")
    if prefetches(headers.get(name.lower(), "") for name in PURPOSES):
        return _no("A notebook is for someone who comes, not for a prefetch.")
    if headers.get("sec-fetch-mode", "cors") != "cors":
        return _no("A notebook is launched by a script of a page, not by a part of it.")
    if not is_listed(origin, (*allowed, own)):
        words = f"Pages of {origin:.200} may not launch notebooks here; whoever runs this service can allow it"
        return _no(f"{words} (TMPNB_ALLOW_ORIGIN).")
    if fields_of(query).get("build_only", "").lower() == "true":
        return FailedEvent("Nothing is built here: launch without build_only.\n", HTTPStatus.NOT_IMPLEMENTED)
    return None


def is_listed(origin: str, allowed: Sequence[str]) -> bool:
    """Whether pages of an origin may launch; programs, and pages of our own, name none."""
    return not origin or "*" in allowed or origin in allowed


def own_origin(entry_url: str, headers: Mapping[str, str], scheme: str) -> str:
    """The origin at which visitors reach the entry: the operator's word, else what the proxy in front says."""
    if entry_url:
        parts = urlsplit(entry_url)
        return f"{parts.scheme}://{parts.netloc}"
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    return f"{_last(headers.get('x-forwarded-proto', '')) or scheme}://{_last(host)}"


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()


def _no(sentence: str) -> FailedEvent:
    return FailedEvent(f"{sentence}\n", HTTPStatus.FORBIDDEN)
