"""What comes in, read and checked: bodies, tokens, the path that a visitor wants."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from node_agent.membership.identity import Identity
from node_agent.web.answers import BadRequest, Forbidden
from tmpnb_common.claims import ClaimRequest
from tmpnb_common.json_object import JsonError, convert, decode_request, without_nulls
from tmpnb_common.paths import path_problem

Shape = TypeVar("Shape")


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


def read_body(shape: type[Shape]) -> Shape:
    """Read the request's body into a dataclass; an empty body is an empty object.

    Raises:
        BadRequest: the body is not a JSON object, or a field is missing or has a wrong value.
    """
    try:
        return decode_request(shape, request.get_data(cache=False))
    except JsonError as error:
        raise BadRequest(str(error)) from error


def claim_request(raw: object) -> ClaimRequest:
    """Read what one of several visitors wants.

    Raises:
        BadRequest: it makes no sense. What the others want may make sense all the same.
    """
    try:
        return convert(ClaimRequest, without_nulls(raw) if isinstance(raw, dict) else raw, "one of the tickets")
    except JsonError as error:
        raise BadRequest(str(error)) from error


def checked_path(path: str) -> str:
    """A path and query inside a sandbox, as an address holds it.

    Raises:
        BadRequest: it is none, or it would lead out of the sandbox.
    """
    if problem := path_problem(path):
        raise BadRequest(problem)
    return path
