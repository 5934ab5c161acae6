"""What comes in, read and checked: bodies, tokens, the path that a visitor wants."""

from __future__ import annotations

import json
from typing import Any

from flask import request

from node_agent.membership.identity import Identity
from node_agent.web.answers import BadRequest, Forbidden
from tmpnb_common.json_object import TICKET
from tmpnb_common.paths import PATH_LIMIT, path_problem
from tmpnb_common.wire import ATTEMPTS_AT_ONCE, TICKETS_AT_ONCE


def token() -> str | None:
    """The token of an `Authorization` header: `Bearer X`, or `token X` as tmpnb had it."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() in ("bearer", "token") else None


def has_token(identity: Identity) -> bool:
    """Whether the caller has the node's token. A wrong one is refused even where none is needed.

    Raises:
        Forbidden: the token is wrong.
    """
    given = token()
    if given is None:
        return False
    if not identity.admits(given):
        raise Forbidden("this is not the node's token")
    return True


def require_token(identity: Identity) -> None:
    if not has_token(identity):
        raise Forbidden("this call needs the node's token: Authorization: Bearer …")


class Body:
    """A JSON object that came in, with typed access to its fields."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise BadRequest("the body is not a JSON object")
        self._value: dict[str, Any] = value

    def text(self, name: str, default: str | None = None, *, limit: int = 1000) -> str:
        value = self._value.get(name, default)
        if not isinstance(value, str) or len(value) > limit:
            raise BadRequest(f"{name} must be a text of at most {limit} characters")
        return value

    def count(self, name: str) -> int | None:
        value = self._value.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63):
            raise BadRequest(f"{name} must be a whole number")
        return value

    def ticket(self, name: str = "ticket") -> str | None:
        if self._value.get(name) is None:
            return None
        ticket = self.text(name, limit=128)
        if not TICKET.fullmatch(ticket):
            raise BadRequest(f"{name} must be 22 to 128 characters of A-Z a-z 0-9 _ -")
        return ticket

    def attempts(self) -> list[str]:
        """The claims that a caller gives up."""
        given = self._value.get("attempts")
        if not isinstance(given, list) or not 0 < len(given) <= ATTEMPTS_AT_ONCE:
            raise BadRequest(f"attempts must be a list of 1 to {ATTEMPTS_AT_ONCE}")
        return [ticket for each in given if (ticket := Body({"attempts": each}).ticket("attempts"))]

    def tickets(self) -> list[object] | None:
        """What several visitors want, as it came; None where the call is for one visitor."""
        given = self._value.get("tickets")
        if given is None:
            return None
        if not isinstance(given, list) or not 0 < len(given) <= TICKETS_AT_ONCE:
            raise BadRequest(f"tickets must be a list of 1 to {TICKETS_AT_ONCE}")
        return given

    def path(self, default: str) -> str:
        return checked_path(self.text("path", default, limit=PATH_LIMIT))


def wish(raw: object, default_path: str) -> tuple[str, str, str]:
    """One of several visitors: their ticket, the attempt that this claim is, and the path that they want.

    Raises:
        BadRequest: it is none. What the others want may make sense all the same.
    """
    body = Body(raw)
    ticket = body.ticket()
    if ticket is None:
        raise BadRequest("each of the tickets must be an object with a ticket")
    return ticket, body.ticket("attempt") or "", body.path(default_path)


def read_body() -> Body:
    """The JSON object of the request; an empty body is an empty object."""
    raw = request.get_data(cache=False)
    try:
        return Body(json.loads(raw) if raw.strip() else {})
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error


def checked_path(path: str) -> str:
    """A path and query inside a sandbox, as an address holds it.

    Raises:
        BadRequest: it is none, or it would lead out of the sandbox.
    """
    if problem := path_problem(path):
        raise BadRequest(problem)
    return path
