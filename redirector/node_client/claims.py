"""Claim sandboxes for visitors, and give claims up that nobody waits for any more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

import msgspec

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.calls import ANSWER_LIMIT, NodeCalls, authorization
from redirector.node_client.http import NodeResponse, Request
from redirector.node_client.urls import sandbox_url, with_query
from tmpnb_common.claims import Claim, ClaimRequest, Refusal, parse_claim, parse_claims, parse_refusal
from tmpnb_common.json_object import JsonError

ClaimAnswer = Claim | Refusal | Failure
"""What became of one visitor's claim; the URL of a `Claim` is absolute."""


class ClaimCalls(NodeCalls):
    """Asks nodes for sandboxes."""

    def claim(
        self, node: Node, pool: str, requests: Sequence[ClaimRequest], *, seconds: float = math.inf
    ) -> Sequence[ClaimAnswer]:
        """Ask a node that speaks the protocol for a sandbox of one pool for each of several visitors.

        Args:
            node: the node.
            pool: the pool's name.
            requests: what the visitors want: 1 to `TICKETS_AT_ONCE`.
            seconds: how long to wait; never longer than any claim may take.

        Returns:
            As many answers as there are requests, in their order.
        """
        # A query alone belongs to the landing page, which only the node knows, so it is added to the node's answer.
        paths = [request.path for request in requests]
        tickets = [replace(request, path="") if request.path.startswith("?") else request for request in requests]
        body = msgspec.json.encode({"pool": pool, "tickets": tickets})
        answer = self._spawn(node, body, seconds, repeatable=True)
        if isinstance(answer, Failure):
            return [answer] * len(requests)
        try:
            if answer.status != HTTPStatus.OK:
                return [parse_refusal(answer.status, answer.body)] * len(requests)
            outcomes = parse_claims(answer.body, len(requests))
            return [
                replace(outcome, url=with_query(sandbox_url(node, outcome.url), _query_alone(path)))
                if isinstance(outcome, Claim)
                else outcome
                for outcome, path in zip(outcomes, paths, strict=True)
            ]
        except JsonError as error:
            return [Failure(FailureKind.PROTOCOL_ERROR, str(error))] * len(requests)

    def claim_plainly(self, node: Node, path: str, *, seconds: float = math.inf) -> ClaimAnswer:
        """Ask an original tmpnb for a sandbox. It knows neither tickets nor pools; `path` is appended to its URL."""
        answer = self._spawn(node, b"{}", seconds, repeatable=False)
        if isinstance(answer, Failure):
            return answer
        try:
            if answer.status != HTTPStatus.OK:
                return parse_refusal(answer.status, answer.body)
            claim = parse_claim(answer.body)
            base, _, own_query = sandbox_url(node, claim.url).partition("?")
        except JsonError as error:
            return Failure(FailureKind.PROTOCOL_ERROR, str(error))
        inner = f"/{path}" if path.startswith("?") else path or "/"
        return Claim(with_query(f"{base.rstrip('/')}{inner}", own_query), claim.name)

    def abandon(self, node: Node, attempts: Sequence[str]) -> Failure | None:
        """Give up at most `ATTEMPTS_AT_ONCE` claims. A node whose software does not know the call need not be told."""
        answer = self._control(node, "POST", "/api/abandon", {"attempts": list(attempts)})
        return answer if isinstance(answer, Failure) else None

    def _spawn(self, node: Node, body: bytes, seconds: float, *, repeatable: bool) -> NodeResponse | Failure:
        request = Request(
            "POST",
            f"{node.address}/api/spawn",
            ANSWER_LIMIT,
            headers=authorization(node.token),
            body=body,
            repeatable=repeatable,
        )
        return self._send(request, min(seconds, self._claim_seconds))


def _query_alone(path: str) -> str:
    """The query of a path and query that has no path; empty for any other."""
    return path[1:] if path.startswith("?") else ""
