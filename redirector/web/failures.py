"""Every error in one shape: `{"status": code, "message": sentence}` for programs, a page of plain words for people."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, InternalServerError

from redirector.errors import (
    AlreadyMemberError,
    AmbiguousSessionError,
    BadRequestError,
    ChangedError,
    CopiedNodeError,
    DatabaseAwayError,
    DatabaseRefusedError,
    DuplicateNameError,
    DuplicateUrlError,
    FleetError,
    HasSessionsError,
    LastNodeError,
    NodeFailedError,
    NotThatNodeError,
    ProbeError,
    SchemaTooNewError,
    TooLittleFreeError,
    UnknownNodeError,
    UnknownPoolError,
    UnknownSessionError,
)
from redirector.model.content import (
    ContentNotAllowedError,
    DuplicateContentError,
    PoolHasContentError,
    TooManyContentsError,
    UnknownContentError,
)
from redirector.model.foreign_links import UnreadableLinkError
from redirector.model.sources import SourceError
from redirector.operations.contents import UnknownPatternError
from redirector.web.pages import page

log = logging.getLogger("web")

STATUS: dict[type[FleetError], int] = {
    BadRequestError: 400,
    UnknownNodeError: 404,
    AlreadyMemberError: 409,
    CopiedNodeError: 409,
    DuplicateNameError: 409,
    DuplicateUrlError: 409,
    HasSessionsError: 409,
    LastNodeError: 409,
    NotThatNodeError: 403,
    TooLittleFreeError: 409,
    UnknownPoolError: 404,
    UnknownSessionError: 404,
    UnknownContentError: 404,
    ContentNotAllowedError: 404,
    DuplicateContentError: 409,
    PoolHasContentError: 409,
    TooManyContentsError: 503,
    UnreadableLinkError: 400,
    SourceError: 400,
    UnknownPatternError: 404,
    AmbiguousSessionError: 409,
    ChangedError: 412,
    ProbeError: 502,
    NodeFailedError: 502,
    DatabaseAwayError: 503,
    DatabaseRefusedError: 503,
    SchemaTooNewError: 503,
}

CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    410: "gone",
    413: "too_large",
    414: "too_long",
    415: "bad_request",
}

SENTENCES = {
    404: "There is nothing at this address.",
    400: "This address makes no sense to us.",
    405: "This address does not know that method.",
    413: "The request is too large.",
    414: "This address is too long.",
    500: "Something went wrong here. It has been written down; trying again may help.",
}

DATABASE_RETRY_SECONDS = 5


def register(app: Flask) -> None:
    """Answer every error of the application from here."""
    app.register_error_handler(FleetError, _refused)
    app.register_error_handler(HTTPException, _http)


def failure(status: int, code: str, message: str, **fields: Any) -> Response:
    """An error as programs read it."""
    response = jsonify({"status": code, "message": message, **fields})
    response.status_code = status
    return response


def prefers_page() -> bool:
    """Whether a person asks, as far as one can tell: a browser names HTML, a program seldom does."""
    accepted = request.accept_mimetypes
    return "text/html" in accepted.values() and accepted.best_match(["text/html", "application/json"]) == "text/html"


FOR_PEOPLE = (UnknownContentError, ContentNotAllowedError, UnreadableLinkError, TooManyContentsError, DatabaseAwayError)
LINKS = ("/c/", "/wait/", "/v2/", "/github/", "/git-pull", "/hub/user-redirect/git-pull")
"""What visitors meet at a link. Everything else is the operators' API's alone."""


def _refused(error: FleetError) -> Response:
    status = STATUS.get(type(error), 500)
    if isinstance(error, FOR_PEOPLE) and prefers_page() and request.path.startswith(LINKS):
        return page("error.html", status, message=sentence(error))
    response = failure(status, error.code, str(error), **error.fields())
    if isinstance(error, DatabaseAwayError):
        response.headers["Retry-After"] = str(DATABASE_RETRY_SECONDS)
    return response


def sentence(error: FleetError) -> str:
    """An error's text as a sentence for people."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, InternalServerError):
        # Flask has logged the trace; nobody outside needs it.
        log.error("a request failed: %s %s", request.method, request.endpoint)
    message = SENTENCES.get(status, error.description or "The request cannot be answered.")
    if prefers_page():
        response = page("error.html", status, message=message)
    else:
        response = failure(status, CODES.get(status, "internal_error" if status >= 500 else "bad_request"), message)  # noqa: PLR2004
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after", "www-authenticate"):
            response.headers[name] = value
    return response
