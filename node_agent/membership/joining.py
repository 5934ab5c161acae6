"""How a node joins a fleet by itself, and leaves it politely.

The join token lets a node in; its own token, which it hands over, is what the fleet speaks to it with from then on. No
redirect is followed: a token goes to the entry URL and nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from urllib3.exceptions import HTTPError

from tmpnb_common.bounded_reading import TooLongError
from tmpnb_common.bounded_session import bounded_session, exchange
from tmpnb_common.log_lines import fields

log = logging.getLogger("membership")

CALL_SECONDS = 10.0
"""The redirector asks the node back before it answers."""

ANSWER_LIMIT = 64 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
LEAVE_PAUSE = 2.0

LEAVE_TRIES = 15
"""Without an answer from the fleet for so many tries, a node that leaves goes without a farewell."""

GONE = 404


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """What the redirector answered; status 0 if nothing came."""

    status: int
    body: Mapping[str, Any]
    problem: str

    @property
    def ok(self) -> bool:
        """Whether the redirector did as asked."""
        return self.status in (200, 201)


@dataclass(frozen=True, slots=True)
class Membership:
    """One node's place in one fleet."""

    entry_url: str
    url: str
    control_url: str
    join_token: str = field(repr=False)
    node_token: str = field(repr=False)

    def join(self, stop: threading.Event) -> None:
        """Register, however long that takes. Doing so again, as after a restart, keeps the node's name."""
        pause, problem = 0.0, ""
        while not stop.wait(pause):
            answer = self._call("join", {"url": self.url, "control_url": self.control_url, "token": self.node_token})
            if answer.ok:
                log.info("joined", extra=fields(fleet=self.entry_url, name=str(answer.body.get("name", ""))))
                return
            if answer.problem != problem:
                # Once for each reason: the same one every half a minute would bury the rest of the log.
                log.warning("not joined yet", extra=fields(fleet=self.entry_url, reason=answer.problem))
                problem = answer.problem
            pause = min(LONGEST_PAUSE, 2 * pause or FIRST_PAUSE)

    def leave(self, stop: threading.Event) -> None:
        """Let the fleet drain this node, wait for its sessions to end, and be taken off the fleet's list."""
        unanswered = 0
        while unanswered < LEAVE_TRIES:
            answer = self._call("leave", {"url": self.url, "token": self.node_token})
            if answer.status == GONE or (answer.ok and answer.body.get("left") is True):
                log.info("left", extra=fields(fleet=self.entry_url))
                return
            if answer.ok:
                unanswered = 0
                log.info("leaving", extra=fields(fleet=self.entry_url, sessions=answer.body.get("claimed")))
            else:
                unanswered += 1
                log.warning("cannot leave yet", extra=fields(fleet=self.entry_url, reason=answer.problem))
            if stop.wait(LEAVE_PAUSE):
                return

    def _call(self, verb: str, body: Mapping[str, str]) -> FleetAnswer:
        session = bounded_session(self.join_token)
        # Neither a proxy nor a bundle of the environment: the fleet is reached, and trusted, as this host does it.
        session.trust_env = False
        session.verify = _trusted_here()
        url, timeout = f"{self.entry_url}/api/{verb}", (CALL_SECONDS, CALL_SECONDS)
        try:
            response, raw = exchange(session, "POST", url, body, timeout=timeout, limit=ANSWER_LIMIT)
        except (OSError, HTTPError, TooLongError) as error:
            return FleetAnswer(0, {}, f"no answer ({_first_cause(error)})")
        except Exception as error:  # noqa: BLE001  # a stranger's answer: parsers raise whatever they come upon
            return FleetAnswer(0, {}, f"no answer (what came is no HTTP: {type(error).__name__})")
        return _parsed(response.status_code, raw)


def _trusted_here() -> str | bool:
    """Where this host keeps the certificates of the authorities that it trusts."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _first_cause(error: BaseException) -> BaseException:
    """What happened, beneath what libraries make of it."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


class Departure:
    """A process that leaves its fleet when it is told to end, and ends when it has left, or when it is told again."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)

    def heed_term(self) -> None:
        """From now on TERM means to leave first. What it meant before, it means the second time."""
        at_once = signal.getsignal(signal.SIGTERM)

        def on_term(number: int, frame: FrameType | None) -> None:
            if self._leaving.ident is None:
                self._leaving.start()
            elif callable(at_once):
                at_once(number, frame)

        signal.signal(signal.SIGTERM, on_term)

    def _leave(self) -> None:
        self._membership.leave(threading.Event())
        os.kill(os.getpid(), signal.SIGTERM)


def _parsed(status: int, raw: bytes) -> FleetAnswer:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return FleetAnswer(0, {}, f"it answered {status} and no JSON object")
    return FleetAnswer(status, body, f"{status} {body.get('message') or body.get('status') or ''}".strip())
