"""A node's pools: their images and sizes, and the trial of one."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from redirector.model.images import Fetch, Selftest
from redirector.model.nodes import Failure, Node
from redirector.node_client.calls import NodeCalls, fields_of, is_unknown_call, message_of, refusal_of
from tmpnb_common.wire import TRIAL_SECONDS

PROGRESS_LIMIT = 1000
"""Characters of what a node says of an image that it fetches."""

SELFTEST_SECONDS = TRIAL_SECONDS + 20.0
"""Longer than the node's own nginx waits for the trial."""


class PoolCalls(NodeCalls):
    """Changes and tries nodes' pools."""

    def put_pool(
        self, node: Node, pool: str, *, image: str | None = None, capacity: int | None = None, warm: int | None = None
    ) -> Failure | None:
        """Move a pool to another image or resize it, in sandboxes; None leaves a value as it is."""
        changes = {"image": image, "capacity": capacity, "warm": warm}
        body = {name: value for name, value in changes.items() if value is not None}
        answer = self._control(node, "PUT", _place(pool), body)
        if isinstance(answer, Failure):
            return answer
        return None if answer.status == HTTPStatus.OK else refusal_of(answer)

    def fetch_image(self, node: Node, pool: str, image: str) -> Fetch | Failure:
        """Have a node fetch an image, and hear how far that is. Nothing moves."""
        answer = self._control(node, "POST", f"{_place(pool)}/fetch", {"image": image})
        if isinstance(answer, Failure):
            return answer
        if is_unknown_call(answer):
            # An older node fetches an image when its pool moves.
            return Fetch(there=True)
        if answer.status != HTTPStatus.OK:
            return refusal_of(answer)
        fields = fields_of(answer)
        texts = {name: value for name in ("progress", "problem") if isinstance(value := fields.get(name), str)}
        return Fetch(fields.get("there") is True, **{name: text[:PROGRESS_LIMIT] for name, text in texts.items()})

    def selftest(self, node: Node, pool: str) -> Selftest | Failure:
        """Let a trial sandbox run a cell; an empty `pool` is the default one."""
        body = {"pool": pool} if pool else {}
        answer = self._control(node, "POST", "/api/selftest", body, seconds=SELFTEST_SECONDS)
        if isinstance(answer, Failure):
            return answer
        if answer.status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
            return refusal_of(answer)
        measured = {key: value for key, value in fields_of(answer).items() if key not in ("status", "message")}
        return Selftest(answer.status == HTTPStatus.OK, message_of(answer), measured)


def _place(pool: str) -> str:
    """The path of one pool in a node's control API."""
    return f"/api/pools/{quote(pool, safe='')}"
