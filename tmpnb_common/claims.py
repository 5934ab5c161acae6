"""Claims, as nodes and redirectors speak of them: what a visitor wants, what they got, why they got nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from tmpnb_common.json_object import Count, InnerPath, JsonError, MaybeDigest, MaybeTicket, Text, Ticket, decode

TICKETS_AT_ONCE = 16
"""Most tickets in one claim call: by then the call itself costs little beside them."""

ATTEMPTS_AT_ONCE = 64
"""Most attempts in one call that abandons them."""


RefusalStatus = Literal["full", "starting", "draining", "forbidden", "unknown_pool", "bad_request", "abandoned"]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What one visitor wants of a node: one of the `tickets` in the body of `POST /api/spawn`."""

    ticket: Ticket
    path: InnerPath = ""
    """The path and query inside the sandbox; empty for the pool's landing page."""
    attempt: MaybeTicket = ""
    """The search that this claim belongs to: what it got is given back by this, whenever the node gets to it."""
    phone: bool = False
    """A notebook is opened alone, at Notebook 7's page, where the sandbox has one."""
    content: MaybeDigest = ""
    """The blob that the sandbox will be filled with by a call of its own; empty: none."""
    embedded: bool = False
    """It is for live code in a page of somebody else's, and ends soon after that page has gone."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sandbox that was handed out."""

    url: Text
    """A path below the node's public URL, or absolute where every sandbox has an origin of its own."""
    name: Text = ""
    available: Count | None = None
    """The node's free slots after this claim; None from an original tmpnb."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim got nothing: `starting` means that asking again in a moment is worth it, `bad_request` that the wish
    makes no sense to this node, which is otherwise well, `abandoned` that nobody waits for this claim any more.
    """

    status: RefusalStatus
    message: Text = ""


def parse_claim(body: bytes) -> Claim:
    """Read the answer to a claim without tickets, as an original tmpnb gives it.

    Raises:
        JsonError: there is no usable URL in the answer.
    """
    return _checked(decode(Claim, body, "claim"))


def _checked(claim: Claim) -> Claim:
    url = claim.url
    if not url.startswith(("/", "http://", "https://")) or url.startswith("//") or "\\" in url or not url.isprintable():
        raise JsonError(f"claim: url {url!r:.60} is neither a path nor an http address")
    return claim


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """What became of one ticket: `url` and `name` of a sandbox, or `status` and `message` of a refusal."""

    url: Text = ""
    name: Text = ""
    status: RefusalStatus | None = None
    message: Text = ""


@dataclass(frozen=True, slots=True)
class ClaimOutcomes:
    """The answer to a claim with tickets: what became of each, in their order."""

    claims: tuple[ClaimOutcome, ...]
    available: Count
    """The pool's free slots after all of them."""


def parse_claims(body: bytes, count: int) -> list[Claim | Refusal]:
    """Read the answer to a claim with `count` tickets: what became of each, in their order.

    Raises:
        JsonError: it is none, or of another number of tickets.
    """
    answer = decode(ClaimOutcomes, body, "claims")
    if len(answer.claims) != count:
        raise JsonError(f"claims: {len(answer.claims)} outcomes for {count} tickets")
    return [_outcome(outcome, answer.available) for outcome in answer.claims]


def _outcome(outcome: ClaimOutcome, available: int) -> Claim | Refusal:
    if outcome.url:
        return _checked(Claim(outcome.url, outcome.name, available))
    if outcome.status is None:
        raise JsonError("claims: an outcome has neither a url nor a status")
    return Refusal(outcome.status, outcome.message)


@dataclass(frozen=True, slots=True)
class _Refused:
    status: Text = ""
    message: Text = ""


def parse_refusal(status_code: int, body: bytes) -> Refusal:
    """Read a refused claim.

    Raises:
        JsonError: the answer is no refusal that this format knows, so the node is unwell rather than full.
    """
    refused = decode(_Refused, body, f"refused claim with status {status_code}")
    match status_code, refused.status:
        case 429, "starting":
            return Refusal("starting", refused.message)
        case 429, _:
            return Refusal("full", refused.message)
        case 409, "draining" | "abandoned" as status:
            return Refusal(status, refused.message)
        case 403, _:
            return Refusal("forbidden", refused.message)
        case 404, "unknown_pool":
            return Refusal("unknown_pool", refused.message)
        case 400 | 413, "bad_request":
            return Refusal("bad_request", refused.message)
        case _, status:
            raise JsonError(f"claim answered {status_code} {status!r:.40}")


def ticket_mark(ticket: str) -> str:
    """A ticket's short form for logs, the same at redirector and node: it tells visitors apart and opens nothing."""
    return hashlib.sha256(ticket.encode()).hexdigest()[:8]
