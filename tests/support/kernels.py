"""Run code in a sandbox's kernel the way a browser does: Jupyter's REST API, then its websocket."""

from __future__ import annotations

import json
import time
import uuid
from types import TracebackType
from typing import Any, Self

import requests
import websocket

DEADLINE_SECONDS = 60.0


class KernelDied(Exception):  # noqa: N818 - an observation that tests expect, named as one would say it
    """The websocket closed, or the kernel said nothing in time."""


class Kernel:
    """One kernel of one sandbox, with its websocket open until `close`."""

    def __init__(self, base_url: str) -> None:
        """Start a kernel in the sandbox whose base URL is `base_url` (ending in `/user/<key>/`)."""
        self.base_url = base_url
        answer = requests.post(f"{base_url}api/kernels", json={"name": "python3"}, timeout=DEADLINE_SECONDS)
        answer.raise_for_status()
        self._open(answer.json()["id"])

    @classmethod
    def attach(cls, base_url: str, kernel_id: str) -> Self:
        """The websocket of a kernel that runs already, as a browser opens it again."""
        kernel = cls.__new__(cls)
        kernel.base_url = base_url
        kernel._open(kernel_id)
        return kernel

    def _open(self, kernel_id: str) -> None:
        self.id = kernel_id
        self._session = uuid.uuid4().hex
        self.socket = websocket.create_connection(
            f"ws{self.base_url.removeprefix('http')}api/kernels/{self.id}/channels?session_id={self._session}",
            timeout=DEADLINE_SECONDS,
        )

    def run(self, code: str) -> str:
        """Execute `code` and return what it printed and its value, as text.

        Raises:
            KernelDied: the connection broke or nothing came before the deadline.
        """
        wanted = uuid.uuid4().hex
        deadline = time.monotonic() + DEADLINE_SECONDS
        printed: list[str] = []
        try:
            self.socket.send(json.dumps(self._execute_request(wanted, code)))
            while time.monotonic() < deadline:
                message = json.loads(self.socket.recv())
                if message.get("parent_header", {}).get("msg_id") != wanted:
                    continue
                content = message["content"]
                match message["msg_type"]:
                    case "stream":
                        printed.append(content["text"])
                    case "execute_result":
                        printed.append(content["data"]["text/plain"])
                    case "error":
                        printed.append(f"{content['ename']}: {content['evalue']}")
                    case "status" if content["execution_state"] == "idle":
                        return "".join(printed).strip()
        except (websocket.WebSocketException, OSError, ValueError) as problem:
            raise KernelDied(str(problem)) from problem
        raise KernelDied("no answer before the deadline")

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute_request(self, message_id: str, code: str) -> dict[str, Any]:
        return {
            "header": {
                "msg_id": message_id,
                "msg_type": "execute_request",
                "username": "visitor",
                "session": self._session,
                "date": "",
                "version": "5.3",
            },
            "parent_header": {},
            "metadata": {},
            "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
            "channel": "shell",
            "buffers": [],
        }


def base_of(url: str) -> str:
    """The base URL of the sandbox that `url` leads to: everything up to `/user/<key>/`."""
    head, mark, rest = url.partition("/user/")
    assert mark, f"{url} leads to no sandbox"
    return f"{head}/user/{rest.split('/')[0]}/"
