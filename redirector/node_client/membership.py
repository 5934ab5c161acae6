"""A node's place in the fleet: whether its token works, and what the fleet wants of it."""

from __future__ import annotations

from http import HTTPStatus

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.calls import DENIED, NodeCalls, authorization
from redirector.node_client.http import Request
from redirector.node_client.sessions import SANDBOXES, SANDBOXES_LIMIT


class MembershipCalls(NodeCalls):
    """Proves nodes' tokens and puts the fleet's intent to nodes."""

    def token_works(self, address: str, token: str) -> bool | Failure:
        """Make a call that only the node's token allows."""
        request = Request("GET", f"{address}{SANDBOXES}", SANDBOXES_LIMIT, headers=authorization(token))
        answer = self._send(request, self._control_seconds)
        if isinstance(answer, Failure):
            return answer
        if answer.status in DENIED:
            return False
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"its control API answered {answer.status}")
        return True

    def put_state(self, node: Node) -> Failure | None:
        """Put the fleet's intent to a node."""
        body = {
            "state": node.intent,
            "generation": node.generation,
            "reason": node.intent_reason,
            "by": node.intent_by,
        }
        answer = self._control(node, "PUT", "/api/state", body, seconds=self._poll_seconds)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} to its new state")
        return None
