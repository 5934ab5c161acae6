"""The one shape of every error, and the one place where errors become HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from node_agent.errors import AgentError, ContentError, ContentWord, StaleGeneration, UnknownPool, UnknownSandbox
from node_agent.pages import Pages
from tmpnb_common.claims import Refusal

STATUS = {
    "full": 429,
    "starting": 429,
    "draining": 409,
    "abandoned": 409,
    "forbidden": 403,
    "unknown_pool": 404,
    "bad_request": 400,
}
"""Of a refused claim."""

CONTENT_STATUS: Mapping[ContentWord, int] = {
    "bad_blob": 400,
    "too_large": 413,
    "no_room": 507,
    "missing_blob": 409,
    "unknown_blob": 404,
    "in_use": 409,
    "larger_than_home": 409,
    "unfit": 409,
    "busy": 503,
    "off": 409,
}
"""Of a blob that is not taken, not there or not fit."""

WORDS = {400: "bad_request", 403: "forbidden", 404: "not_found", 405: "not_allowed", 413: "bad_request", 500: "error"}

HEADINGS = {
    400: "This address makes no sense here",
    404: "There is nothing here",
    405: "That cannot be done here",
    413: "That is too large",
}
SENTENCES = {404: "The address leads nowhere on this server. Perhaps a part of it is missing."}
"""For people; what programs are told would not help them."""

RETRY_SECONDS = {"full": 10, "starting": 1}


class BadRequest(AgentError):  # noqa: N818 - named as HTTP says it
    """What came is not what the call takes, and why."""


class Forbidden(AgentError):  # noqa: N818 - likewise
    """The call needs the node's token."""


def register(app: Flask, pages: Pages) -> None:
    app.register_error_handler(BadRequest, lambda error: _bad_request(error, pages))
    app.register_error_handler(Forbidden, lambda error: answer(403, "forbidden", str(error)))
    app.register_error_handler(UnknownSandbox, lambda error: answer(404, "unknown_sandbox", str(error)))
    app.register_error_handler(UnknownPool, lambda error: answer(404, "unknown_pool", str(error)))
    app.register_error_handler(StaleGeneration, _stale)
    app.register_error_handler(ContentError, lambda error: answer(CONTENT_STATUS[error.word], error.word, str(error)))
    # The engine, a disk: not the caller's fault, and perhaps better in a moment.
    app.register_error_handler(AgentError, lambda error: answer(503, "unhealthy", str(error)))
    app.register_error_handler(HTTPException, lambda error: _http(error, pages))
    app.after_request(_no_store)


def view(shown: object, code: int = 200) -> Response:
    """A view as the JSON that answers the request."""
    return Response(msgspec.json.encode(shown) + b"\n", code, content_type="application/json")


def answer(code: int, status: str, message: str, **more: object) -> Response:
    response = jsonify(status=status, message=message, **more)
    response.status_code = code
    if status in RETRY_SECONDS:
        response.headers["Retry-After"] = str(RETRY_SECONDS[status])
    return response


def wants_page() -> bool:
    """Whether a person in a browser asks, rather than a program."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"] and not request.path.startswith("/api/")


def page(pages: Pages, code: int, heading: str, message: str) -> Response:
    return Response(pages.render("error", heading=heading, message=message), status=code, mimetype="text/html")


def refusal(refused: Refusal) -> Response:
    return answer(STATUS[refused.status], refused.status, refused.message)


def _bad_request(error: BadRequest, pages: Pages) -> Response:
    return page(pages, 400, HEADINGS[400], SENTENCES[404]) if wants_page() else answer(400, "bad_request", str(error))


def _stale(error: StaleGeneration) -> Response:
    return answer(409, "stale_generation", str(error), generation=error.held)


def _http(error: HTTPException, pages: Pages) -> Response:
    code = error.code or 500
    if wants_page():
        sentence = SENTENCES.get(code, "It is not your fault. Please try again in a moment.")
        return page(pages, code, HEADINGS.get(code, "Something went wrong"), sentence)
    text = "the body is too large" if code == 413 else (error.description or error.name)  # noqa: PLR2004 - HTTP's own
    return answer(code, WORDS.get(code, "error"), text)


def _no_store(response: Response) -> Response:
    """Nothing here may be kept: counts are of now, and a redirect is one visitor's alone."""
    response.headers.setdefault("Cache-Control", "no-store")
    if request.method == "OPTIONS" and response.status_code == 200:  # noqa: PLR2004 - HTTP's own
        response.status_code = 204
    return response
