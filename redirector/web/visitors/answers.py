"""What a visitor is told: each outcome at the door as a page for people and as JSON for programs."""

from __future__ import annotations

import math

from flask import Response, request

from redirector.model.outcomes import MOMENT_SECONDS, DenialReason
from redirector.placing.outcomes import Refused, Waiting
from redirector.web.bodies import answer
from redirector.web.failures import failure
from redirector.web.pages import page
from redirector.web.visitors.views import WaitingView

PLAIN_SECONDS = 1
"""How often a page without a script is loaded again, at most."""


def waiting_json(waiting: Waiting, following: str, *, keeps: bool) -> Response:
    """202, the place, and where to ask again.

    Args:
        waiting: the place.
        following: the path to ask at.
        keeps: whether this client's cookie holds the ticket, so that it need not keep the address.
    """
    view = WaitingView(
        status="waiting",
        message=waiting.reason.wait,
        mood=waiting.reason,
        ticket=waiting.ticket,
        position=waiting.place.position,
        waiting=waiting.place.waiting,
        expected_seconds=waiting.place.expected_seconds,
        retry_after=waiting.ask_seconds,
        next=following,
        keeps=keeps,
    )
    response = answer(view, 202)
    response.headers["Retry-After"] = str(math.ceil(waiting.ask_seconds))
    return response


def waiting_page(waiting: Waiting, following: str) -> Response:
    """The waiting room. With a script it asks by itself; without one it is loaded again."""
    plain_seconds = math.ceil(waiting.ask_seconds)
    expected = waiting.place.expected_seconds
    trouble = waiting.reason is DenialReason.TROUBLE
    response = page(
        "waiting.html",
        503 if trouble else 200,
        mood=waiting.reason,
        place=waiting.place,
        minutes=None if expected is None else math.ceil(expected / 60),
        following=following,
        ask_seconds=waiting.ask_seconds,
        plain_seconds=plain_seconds,
    )
    if trouble:
        # For whatever watches over this address: people wait all the same.
        response.headers["Retry-After"] = str(plain_seconds)
    if "Sec-Fetch-Mode" not in request.headers:
        # No browser of today, so it may well know no scripts, and no <noscript> either.
        response.headers["Refresh"] = f"{plain_seconds}; url={following}"
    return response


def refused_page(refused: Refused) -> Response:
    """Why there is neither a sandbox nor a place, and a page that tries again by itself where that makes sense."""
    seconds = refused.reason.retry_seconds
    match refused.reason:
        case DenialReason.UNKNOWN_POOL:
            return page("error.html", 404, message="There is no such kind of notebook here.")
        case DenialReason.BAD_REQUEST:
            return page("error.html", 400, message="No notebook can be opened at this address.")
        case DenialReason.STARTING:
            response = page("starting.html", 200, seconds=seconds)
        case DenialReason.TROUBLE:
            response = page("trouble.html", 503, seconds=seconds)
        case DenialReason.LIMITED | DenialReason.THROTTLED:
            response = page("limited.html", 429, seconds=seconds)
        case DenialReason.FULL | DenialReason.CROWDED:
            response = page("full.html", 503, seconds=seconds, crowded=refused.reason is DenialReason.CROWDED)
    response.headers["Retry-After"] = response.headers["Refresh"] = str(seconds)
    return response


def refused_json(refused: Refused) -> Response:
    """The same for programs. A waiting room that is full is `full` to them, as tmpnb had it."""
    reason = refused.reason
    if reason is DenialReason.UNKNOWN_POOL:
        return failure(404, reason, reason.refusal)
    if reason is DenialReason.BAD_REQUEST:
        return failure(400, reason, reason.refusal)
    trouble = reason is DenialReason.TROUBLE
    word = DenialReason.FULL if reason is DenialReason.CROWDED else reason
    response = failure(503 if trouble else 429, word, reason.refusal)
    # A program may ask sooner than a page that many people have open.
    response.headers["Retry-After"] = str(MOMENT_SECONDS if trouble else reason.retry_seconds)
    return response
