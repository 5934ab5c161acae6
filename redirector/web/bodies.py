"""JSON that comes with a request, read once into a frozen dataclass, and JSON that answers it."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from flask import Response, request

from redirector.errors import BadRequestError
from tmpnb_common.json_object import JsonError, decode_request

Shape = TypeVar("Shape")


def answer(view: object, status: int = 200) -> Response:
    """A view, or a mapping with views in it, as the JSON that answers the request."""
    return Response(msgspec.json.encode(view) + b"\n", status, content_type="application/json")


def read_body(shape: type[Shape]) -> Shape:
    """Read the request's body into a dataclass, whatever its content type says. No body is an empty object.

    Raises:
        BadRequestError: the body is not a JSON object, or a field is missing or has a wrong value.
    """
    try:
        return decode_request(shape, request.get_data(cache=False))
    except JsonError as error:
        raise BadRequestError(str(error)) from None
