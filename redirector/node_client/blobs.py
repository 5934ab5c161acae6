"""Contents at a node: its blobs, the one that a pool's homes are made with, and the filling of a visitor's home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.calls import ANSWER_LIMIT, NodeCalls, authorization, refusal_of
from redirector.node_client.http import NodeResponse, Request
from tmpnb_common.json_object import Count, Digest, JsonError, Text, decode

BLOBS = "/api/blobs"
LIST_LIMIT = 4 * 1024 * 1024
"""Bytes. A list takes 250 for each blob."""

PUT_SECONDS = 30.0
PUT_BYTES = 512 * 1024
"""A blob may take 30 s and a second for so many bytes of it: half the time after which nodes cut a slow sender off."""

FILL_SECONDS = 3.0
"""For the answer of a node beyond what it was asked to wait for."""

Shape = TypeVar("Shape")

FillWord = Literal["done", "running", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """One blob that a node holds."""

    digest: Digest
    bytes: Count = 0
    copied_bytes: Count = 0
    """What each home gets of it."""


@dataclass(frozen=True, slots=True)
class HeldBlobs:
    """What a node says of its contents."""

    works: bool
    problem: Text = ""
    """Why it takes none."""
    homes: Mapping[Text, Count] = field(default_factory=dict)
    """How many bytes a home holds, by pool; nothing where nothing bounds it."""
    blobs: tuple[HeldBlob, ...] = ()


@dataclass(frozen=True, slots=True)
class Filling:
    """How far a visitor's home is; `message` says why it failed."""

    state: FillWord
    message: Text = ""


class BlobCalls(NodeCalls):
    """Sends blobs to nodes, and has them used."""

    def held_blobs(self, node: Node) -> HeldBlobs | Failure:
        """The blobs that a node holds."""
        answer = self._control(node, "GET", BLOBS, limit=LIST_LIMIT)
        return _read(HeldBlobs, answer)

    def put_blob(self, node: Node, digest: str, path: Path) -> Failure | None:
        """Send the file of a blob to a node; None: it holds it now."""
        size = path.stat().st_size
        with path.open("rb") as file:
            request = Request(
                "PUT",
                f"{node.address}{BLOBS}/{digest}",
                ANSWER_LIMIT,
                headers={
                    **authorization(node.token),
                    "Content-Type": "application/x-tar",
                    "Content-Length": str(size),
                },
                body=file,
                repeatable=False,
            )
            answer = self._send(request, PUT_SECONDS + size / PUT_BYTES)
        if isinstance(answer, Failure):
            return answer
        return None if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED) else refusal_of(answer)

    def put_content(self, node: Node, pool: str, digest: str) -> Failure | None:
        """Have a pool's new homes made with a blob that the node holds; an empty digest: with none."""
        answer = self._control(node, "PUT", f"/api/pools/{quote(pool, safe='')}", {"content": digest})
        if isinstance(answer, Failure):
            return answer
        return None if answer.status == HTTPStatus.OK else refusal_of(answer)

    def fill(self, node: Node, sandbox: str, ticket: str, wait_seconds: float) -> Filling | Failure:
        """Have a visitor's home filled with what their claim asked for, and hear how far that is."""
        body = {"ticket": ticket, "wait_seconds": wait_seconds}
        path = f"/api/sandboxes/{quote(sandbox, safe='')}/content"
        return _read(Filling, self._control(node, "POST", path, body, seconds=wait_seconds + FILL_SECONDS))


def _read(shape: type[Shape], answer: NodeResponse | Failure) -> Shape | Failure:
    if isinstance(answer, Failure):
        return answer
    if answer.status != HTTPStatus.OK:
        return refusal_of(answer)
    try:
        return decode(shape, answer.body)
    except JsonError as error:
        return Failure(FailureKind.PROTOCOL_ERROR, f"its answer makes no sense: {error}")
