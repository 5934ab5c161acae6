"""What the host's own operator uses to reach the agent: its UNIX socket and the node's token file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_agent.errors import AgentError
from node_agent.unix_http import NoAnswerError, request

SECONDS = 10.0
OK = 200


class AgentAway(AgentError):  # noqa: N818 - named as one says it; the base says that it is an error
    """No agent answers here."""


class OrderRefusedError(AgentError):
    """The agent answered, and it was no."""


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """The agent that serves from one run directory."""

    socket: Path
    token: str

    def get(self, target: str) -> dict[str, Any]:
        return self._call("GET", target, None)

    def put(self, target: str, value: dict[str, Any]) -> dict[str, Any]:
        return self._call("PUT", target, json.dumps(value).encode())

    def _call(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        """Raises `AgentAway` or `OrderRefusedError`, with a sentence for the operator."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            answer = request(self.socket, method, target, within=SECONDS, body=body, headers=headers)
            value = json.loads(answer.body)
        except NoAnswerError as error:
            raise AgentAway(f"no agent answers at {self.socket} ({error}); start it with: tmpnb-agent serve") from error
        except (ValueError, RecursionError) as error:
            raise OrderRefusedError(f"the agent answered {answer.status} and no JSON") from error
        if not isinstance(value, dict):
            raise OrderRefusedError(f"the agent answered {answer.status} and no JSON object")
        if answer.status != OK:
            raise OrderRefusedError(str(value.get("message", answer.status)))
        return value
