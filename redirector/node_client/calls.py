"""What every call to a node has in common: how it is sent, and what its answer says. The calls stand beside, by topic.

A node that fails is an observation (`Failure`), not an exception. The node's token goes to the node's own address only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.http import BoundedHttp, NodeResponse, Request
from tmpnb_common.json_object import JsonError, decode

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer, where a call does not say otherwise."""

CONTROL_SECONDS = 3.0
"""For calls that an operator waits for."""

DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
AWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
UNAVAILABLE = "unavailable"
"""What stands before an agent answers for it while that is away: a node's own proxy with this word, others without."""

MESSAGE_LIMIT = 500
"""Characters of a node's own words that are shown to an operator."""


class NodeCalls:
    """Sends calls to nodes. Safe to use from several threads."""

    def __init__(
        self, http: BoundedHttp, *, poll_seconds: float, claim_seconds: float, control_seconds: float = CONTROL_SECONDS
    ) -> None:
        self._http = http
        self._poll_seconds = poll_seconds
        self._claim_seconds = claim_seconds
        self._control_seconds = control_seconds

    def _send(self, request: Request, seconds: float) -> NodeResponse | Failure:
        answer = self._http.send(request, seconds)
        if not isinstance(answer, NodeResponse) or answer.status not in AWAY:
            return answer
        if fields_of(answer).get("status", UNAVAILABLE) == UNAVAILABLE:
            return Failure(FailureKind.REFUSED, f"its agent does not answer ({answer.status} from its proxy)")
        return answer

    def _control(
        self,
        node: Node,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        limit: int = ANSWER_LIMIT,
        seconds: float | None = None,
    ) -> NodeResponse | Failure:
        """Make a call that needs the node's token, within `seconds`; None: the time that an operator waits."""
        request = Request(
            method,
            f"{node.address}{path}",
            limit,
            headers=authorization(node.token),
            body=None if body is None else json.dumps(body).encode(),
        )
        answer = self._send(request, self._control_seconds if seconds is None else seconds)
        if isinstance(answer, NodeResponse) and answer.status in DENIED:
            return Failure(FailureKind.PROTOCOL_ERROR, "it does not accept its token")
        return answer

    def close(self) -> None:
        """Close the connections to all nodes."""
        self._http.close()


def authorization(token: str) -> dict[str, str]:
    """The header for a node's token, in tmpnb's spelling, which both kinds of node read."""
    return {"Authorization": f"token {token}"} if token else {}


def fields_of(answer: NodeResponse) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where there is none."""
    try:
        return decode(dict[str, Any], answer.body)
    except JsonError:
        return {}


def message_of(answer: NodeResponse) -> str:
    """What the node says about it in words, for an operator's eyes; empty where it says nothing."""
    message = fields_of(answer).get("message")
    return message[:MESSAGE_LIMIT] if isinstance(message, str) else ""


def is_unknown_call(answer: NodeResponse) -> bool:
    """Whether the node's software is older than the call."""
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED or fields_of(answer).get("status") == "not_found"


def refusal_of(answer: NodeResponse) -> Failure:
    """Why a node did not do as it was told."""
    if is_unknown_call(answer):
        words = "it does not know this call: its software is older than the redirector's"
    else:
        words = message_of(answer) or f"it answered {answer.status}"
    return Failure(FailureKind.PROTOCOL_ERROR, words)
