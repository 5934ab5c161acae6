"""Runs code in a kernel of a sandbox as a visitor's browser would: Jupyter's REST API, then its websocket.

For trials of an image, with no visitor in it yet. What comes is bounded in time and size all the same.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import websocket

from node_agent.unix_http import NoAnswerError, request
from tmpnb_common.bounded_reading import Budget, TooLongError, unix_socket

CREATED = 201

STOP_SECONDS = 10.0
"""For the end of a kernel, which interrupts what it computes first."""

MAX_OUTPUT = 1 << 20
"""Bytes that come over the websocket, all messages together: far more than a trial prints."""

DEATHS = ("autorestarting", "restarting", "dead")
"""States in which a server says that a kernel has ended. Nobody need wait until it has given up."""


class KernelError(Exception):
    """The code did not run; the text says in words what was in the way."""


class CellError(KernelError):
    """A kernel ran the code and says that it failed."""


def run(path: Path, base_path: str, code: str, *, within: float) -> str:
    """Run code in a new kernel and return what it printed and its value, as text.

    The kernel is of the default kind, or of the first that there is where that is missing.

    Raises:
        CellError: the kernel ran the code, which failed.
        KernelError: no kernel started, it died, or it did not answer within so many seconds.
    """
    budget = Budget(within, MAX_OUTPUT)
    kernel = _start(path, base_path, within)
    try:
        with unix_socket(str(path), budget) as connection:
            url = f"ws://localhost{base_path}api/kernels/{quote(kernel, safe='')}/channels"
            # Followed, a redirect would let a sandbox have this host connect to wherever it likes.
            channel = websocket.create_connection(url, socket=connection, timeout=within, redirect_limit=0)
            return _execute(channel, code)
    except KernelError:
        raise
    except (TimeoutError, websocket.WebSocketTimeoutException) as error:
        raise KernelError("the kernel did not answer in time") from error
    except TooLongError as error:
        raise KernelError(f"the kernel sent more than {MAX_OUTPUT} bytes") from error
    except Exception as error:
        # A stranger's handshake, frames and messages: the library raises whatever it comes upon, and so do we.
        raise KernelError(f"the kernel's websocket broke: {error}") from error
    finally:
        _stop(path, base_path, kernel)


def _start(path: Path, base_path: str, within: float) -> str:
    try:
        name = kernel_name(request(path, "GET", f"{base_path}api/kernelspecs", within=within).body)
        wish = json.dumps({"name": name} if name else {}).encode()
        answer = request(path, "POST", f"{base_path}api/kernels", within=within, body=wish)
        made = json.loads(answer.body) if answer.status == CREATED else None
    except (NoAnswerError, ValueError, RecursionError) as error:
        raise KernelError(f"asking for a kernel failed: {error}") from error
    if not isinstance(made, dict) or not isinstance(made.get("id"), str):
        raise KernelError(f"asking for a kernel was answered with status {answer.status}, not with a kernel")
    return str(made["id"])


def kernel_name(body: bytes) -> str:
    """The kernel to start, of those that a server says it has; empty: it says none, so it may choose."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    specs = found.get("kernelspecs") if isinstance(found, dict) else None
    if not isinstance(specs, dict) or not specs:
        return ""
    default = found.get("default")
    return str(default if isinstance(default, str) and default in specs else next(iter(specs)))


def _stop(path: Path, base_path: str, kernel: str) -> None:
    try:
        request(path, "DELETE", f"{base_path}api/kernels/{quote(kernel, safe='')}", within=STOP_SECONDS)
    except NoAnswerError:
        # The sandbox of a trial ends in a moment, and its kernels with it.
        return


def _execute(channel: websocket.WebSocket, code: str) -> str:
    order = _execute_request(code)
    channel.send(json.dumps(order))
    printed: list[str] = []
    while True:
        try:
            message = json.loads(channel.recv())
        except (ValueError, RecursionError) as error:
            raise KernelError("what the kernel sent makes no sense") from error
        if message.get("msg_type") == "status" and message["content"]["execution_state"] in DEATHS:
            raise KernelError("the kernel died")
        if message.get("parent_header", {}).get("msg_id") != order["header"]["msg_id"]:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                printed.append(str(content["text"]))
            case "execute_result":
                printed.append(str(content["data"]["text/plain"]))
            case "error":
                raise CellError(f"the code failed: {content['ename']}: {content['evalue']}")
            case "status" if content["execution_state"] == "idle":
                return "".join(printed).strip()


def _execute_request(code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "trial",
        "session": uuid.uuid4().hex,
        "date": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
