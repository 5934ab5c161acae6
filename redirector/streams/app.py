"""`GET /build/…` as an ASGI application: BinderHub's event stream, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from redirector.model.clients import client_address
from redirector.model.launch_events import ASKED_HEADERS, STREAM_HEADERS, FailedEvent, failed_text
from redirector.settings.table import RedirectorSettings
from redirector.streams.entry_client import EntryClient
from redirector.streams.launch import RECONNECT_MILLISECONDS, LaunchStream, with_heartbeats
from redirector.streams.open_streams import OpenStreams
from redirector.streams.permission import is_listed, own_origin, refusal
from redirector.streams.queue_news import QueueNews

BUILD = "/build/"
"""A prefix before it is somebody's proxy's business."""

PREFLIGHT_SECONDS = "600"


class StreamsApp:
    """Answers requests. `stop` ends all streams; their clients connect again, and keep what they had."""

    def __init__(self, settings: RedirectorSettings, entry: EntryClient, news: QueueNews, stop: asyncio.Event) -> None:
        self._settings = settings
        self._entry = entry
        self._news = news
        self._stop = stop
        self._open = OpenStreams(
            most=settings.streams,
            per_client=settings.streams_per_client,
            free=settings.client_free,
            widths=settings.client_networks,
        )
        self.asgi = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "OPTIONS"])])

    async def _answer(self, request: Request) -> Response:
        _, mark, spec = request.scope["raw_path"].decode("latin-1").partition(BUILD)
        headers = dict(request.headers)
        cors = self._cors(headers)
        if not mark or not spec:
            return PlainTextResponse("There is nothing at this address.\n", HTTPStatus.NOT_FOUND, cors)
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={**cors, **_preflight()})
        if request.method == "HEAD":
            return Response(headers=cors, media_type="text/event-stream")
        own = own_origin(self._settings.entry_url, headers, request.url.scheme)
        refused = refusal(headers, request.url.query, self._settings.allow_origin, own)
        text = _only(refused) if refused is not None else self._stream(spec, headers, request)
        return StreamingResponse(text, headers={**cors, **STREAM_HEADERS}, media_type="text/event-stream")

    async def _stream(self, spec: str, headers: Mapping[str, str], request: Request) -> AsyncGenerator[str]:
        peer = request.client.host if request.client is not None else "unknown"
        # Whoever comes past the proxy in front is judged by their own address, not by ours.
        headers = {"x-forwarded-for": peer, **headers}
        proxies, free = self._settings.trusted_proxies, self._settings.client_free
        address = client_address(peer, headers["x-forwarded-for"], proxies, free)
        with self._open.one(address) as problem:
            if problem:
                yield failed_text(FailedEvent(f"{problem}\n", HTTPStatus.TOO_MANY_REQUESTS))
                return
            yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
            launch = LaunchStream(spec, headers.get("last-event-id", ""), headers)
            async with aclosing(with_heartbeats(launch.events(self._entry, self._news), self._stop)) as texts:
                async for text in texts:
                    yield text

    def _cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """A page that may not launch may read why: what it is told then is the same for everybody."""
        origin = headers.get("origin", "")
        listed = origin and is_listed(origin, self._settings.allow_origin) and "*" not in self._settings.allow_origin
        return {"Access-Control-Allow-Origin": origin if listed else "*", "Vary": "Origin"}


def _preflight() -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": "GET, OPTIONS",
        "Access-Control-Allow-Headers": ASKED_HEADERS,
        "Access-Control-Max-Age": PREFLIGHT_SECONDS,
    }


async def _only(event: FailedEvent) -> AsyncGenerator[str]:
    yield failed_text(event)
