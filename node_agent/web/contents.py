"""What only holders of the node's token may do with contents: see and send blobs, have a home filled with one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Blueprint, Response, request

from node_agent.content.blob import DIGEST
from node_agent.errors import ContentError, UnknownSandbox
from node_agent.web import answers, incoming
from node_agent.web.answers import BadRequest
from node_agent.web.node import NodeContext
from node_agent.web.requests import FillRequest
from node_agent.web.views import BlobsView, BlobView

AT_ONCE = 4
"""Blobs that may come at the same time. The agent has 16 threads, and claims come first."""

LEAST_SECONDS = 30.0
SLOWEST_BYTES = 256 * 1024
"""A second: whoever sends more slowly than this for long is cut off, and sends it again."""


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("contents", __name__, url_prefix="/api")
    places = threading.BoundedSemaphore(AT_ONCE)

    @routes.get("/blobs")
    def list_blobs() -> Response:
        incoming.require_token(node.identity)
        store = node.blobs
        held = [BlobView.of(blob, store.uses(blob.digest)) for blob in store.blobs()]
        return answers.view(BlobsView(store.works, store.problem, store.limit_bytes, dict(node.homes), held))

    @routes.put("/blobs/<digest>")
    def put_blob(digest: str) -> Response:
        incoming.require_token(node.identity)
        length = request.content_length
        if length is None:
            raise BadRequest("a blob needs a Content-Length")
        there = node.blobs.find(checked(digest)) is not None
        if not places.acquire(blocking=False):
            raise ContentError("busy", f"{AT_ONCE} blobs are coming already; try again in a moment")
        try:
            # The store has a limit of its own.
            request.max_content_length = length
            with cut_off_after(max(LEAST_SECONDS, length / SLOWEST_BYTES)):
                blob = node.blobs.put(digest, length, request.stream)
        except OSError as error:
            raise BadRequest("the body ended early or came too slowly") from error
        finally:
            places.release()
        return answers.view(BlobView.of(blob, node.blobs.uses(digest)), 200 if there else 201)

    @routes.delete("/blobs/<digest>")
    def delete_blob(digest: str) -> tuple[str, int]:
        incoming.require_token(node.identity)
        node.blobs.delete(checked(digest))
        return "", 204

    @routes.post("/sandboxes/<name>/content")
    def fill_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        body = incoming.read_body(FillRequest)
        sandbox = node.table.held_by(body.ticket) if body.ticket else node.table.find(name, "claimed")
        if sandbox is None or sandbox.name != name:
            raise UnknownSandbox(name)
        return answers.view(node.filler.ask(sandbox, body.wait_seconds))

    return routes


def checked(digest: str) -> str:
    if not DIGEST.fullmatch(digest):
        raise BadRequest("a blob is named by its SHA-256 in 64 characters of 0-9 a-f")
    return digest


@contextmanager
def cut_off_after(seconds: float) -> Iterator[None]:
    """Let no more of the request's body come after so long: a read that waits then ends as at the body's end."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")

    def end() -> None:
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
