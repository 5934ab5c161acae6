"""`GET /build/…`, at which BinderHub's clients listen for a launch: one event that says how a reader comes in.

An event stream lasts as long as a wait, and the threads that serve visitors are not for that. A client's EventSource
shows no body of any answer but a 200, so what cannot be done is an event as well.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request

from redirector.model.foreign_links import BINDER, UnreadableLinkError, binder_source
from redirector.model.launch_events import STREAM_HEADERS, FailedEvent, failed_text
from redirector.settings.table import RedirectorSettings
from redirector.web.failures import sentence
from redirector.web.visitors.addresses import behind

BUILD = "/build/"


def blueprint(settings: RedirectorSettings) -> Blueprint:
    """The one address. Nothing is ever claimed there."""
    routes = Blueprint("build", __name__)

    @routes.route(f"{BUILD}<path:_spec>", methods=["GET", "OPTIONS"])
    def build(_spec: str) -> Response:
        if request.method == "OPTIONS":
            return Response(status=HTTPStatus.NO_CONTENT)
        spec = behind(BUILD)
        try:
            binder_source(spec)
        except UnreadableLinkError as error:
            return _stream(FailedEvent(f"{sentence(error)}\n", HTTPStatus.BAD_REQUEST))
        entry = (settings.entry_url or request.url_root).rstrip("/")
        words = "Notebooks cannot be launched from within another page here. In a window of their own they open at "
        return _stream(FailedEvent(f"{words}{entry}{BINDER}{spec}\n", HTTPStatus.NOT_IMPLEMENTED))

    return routes


def _stream(event: FailedEvent) -> Response:
    return Response(failed_text(event), content_type="text/event-stream", headers=STREAM_HEADERS)
