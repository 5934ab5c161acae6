"""The sandboxes that visitors have at a node: which live, what is said to them, and their end."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from redirector.model.node_names import NAME
from redirector.model.nodes import Failure, FailureKind, Node
from redirector.model.sessions import VisitorSession, parse_sessions
from redirector.node_client.calls import NodeCalls, fields_of, refusal_of
from redirector.node_client.http import NodeResponse

SANDBOXES = "/api/sandboxes"
SANDBOXES_LIMIT = 4 * 1024 * 1024
"""Bytes. A list of sandboxes takes 200 for each."""

HOME_SECONDS = 0.8
"""For the question whether a visitor's sandbox lives: they get another one where that is not known soon."""


class SessionCalls(NodeCalls):
    """Asks nodes about their sessions, and ends them."""

    def lives(self, node: Node, name: str) -> bool | Failure:
        """Whether a sandbox is still its visitor's. One that is ending may be known to its node for long."""
        seconds = min(HOME_SECONDS, self._claim_seconds)
        answer = self._control(node, "GET", _place(name), seconds=seconds)
        if isinstance(answer, Failure):
            return answer
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} when asked for a sandbox")
        return fields_of(answer).get("state") == "claimed"

    def sessions(self, node: Node) -> list[str] | Failure:
        """The names of the sandboxes that visitors have."""
        answer = self._control(node, "GET", SANDBOXES, limit=SANDBOXES_LIMIT)
        if isinstance(answer, Failure):
            return answer
        sandboxes = fields_of(answer).get("sandboxes")
        if answer.status != HTTPStatus.OK or not isinstance(sandboxes, list):
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its sandboxes")
        named = [(one.get("name"), one.get("state")) for one in sandboxes if isinstance(one, dict)]
        return [name for name, state in named if state == "claimed" and isinstance(name, str) and NAME.fullmatch(name)]

    def session_list(self, node: Node) -> list[VisitorSession] | Failure:
        """The sessions that visitors have there, and those that are ending."""
        answer = self._control(node, "GET", SANDBOXES, limit=SANDBOXES_LIMIT)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return refusal_of(answer)
        return parse_sessions(node.name, fields_of(answer).get("sandboxes"))

    def say(self, node: Node, text: str, seconds: int) -> bool | Failure:
        """Let the pages of its sessions show a line for so long; an empty one ends that."""
        answer = self._control(node, "PUT", "/api/say", {"text": text, "seconds": seconds})
        if isinstance(answer, Failure):
            return answer
        return True if answer.status == HTTPStatus.OK else refusal_of(answer)

    def end_session(self, node: Node, name: str) -> bool | Failure:
        """End one session; False if it has ended meanwhile."""
        answer = self._end(node, name)
        if isinstance(answer, Failure):
            return answer
        if answer.status == HTTPStatus.OK:
            # An older node does not say whether it was ending already.
            return fields_of(answer).get("changed") is not False
        return False if answer.status == HTTPStatus.NOT_FOUND else refusal_of(answer)

    def end_sandbox(self, node: Node, name: str) -> Failure | None:
        """End one sandbox; one that is gone already is a success."""
        answer = self._end(node, name)
        if isinstance(answer, Failure):
            return answer
        if answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            return None
        return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} to the end of a sandbox")

    def _end(self, node: Node, name: str) -> NodeResponse | Failure:
        return self._control(node, "DELETE", _place(name))


def _place(name: str) -> str:
    """The path of one sandbox in a node's control API."""
    return f"{SANDBOXES}/{quote(name, safe='')}"
