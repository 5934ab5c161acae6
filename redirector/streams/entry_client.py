"""Asks the redirector, over HTTP like any other program, how launches go on. One connection pool for all streams."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
import msgspec

from redirector.model.launch_events import FailedEvent

TIMEOUT = httpx.Timeout(75.0, connect=3.0)
"""As long as nginx waits for the entry: a visitor waits for a place 60 s at most."""

CONNECTIONS_KEPT_SECONDS = 1.0
"""Shorter than gunicorn keeps them, which is 2 s where no file of its says otherwise: nothing is sent into a connection
that it closes.
"""

PASSED_ON = ("host", *(f"x-forwarded-{what}" for what in ("for", "proto", "host", "port", "prefix")))
"""What a proxy in front says of a visitor: the redirector judges it as if it had come there."""

Shape = TypeVar("Shape")


class UnansweredError(Exception):
    """The redirector gave no answer that makes sense: it restarts, or is not there."""


@dataclass(frozen=True, slots=True)
class LaunchStep:
    """What a launch has come to."""

    events: list[msgspec.Raw]
    """As JSON; the last of them is the newest."""
    id: str = field(default="", repr=False)
    ask_seconds: float | None = None
    far_back: bool = False
    """Whether `places` tells of it from now on, with all others."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    message: str


@dataclass(frozen=True, slots=True)
class _Places:
    places: dict[str, msgspec.Raw]


class EntryClient:
    """Safe to use from many tasks: so many of them ask at the same time, and the others wait for their turn."""

    def __init__(self, base_url: str, *, at_once: int) -> None:
        limits = httpx.Limits(max_connections=at_once, keepalive_expiry=CONNECTIONS_KEPT_SECONDS)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT, limits=limits, trust_env=False)
        self._turns = asyncio.Semaphore(at_once)

    async def launch(self, spec: str, identity: str, headers: Mapping[str, str]) -> LaunchStep:
        """Ask for a launch's next step.

        Args:
            spec: what is launched, as the client sent it.
            identity: the last step's id; empty: there was none.
            headers: the client's, by names in lower case.

        Raises:
            UnansweredError: there is no answer.
        """
        said = {name.encode(): headers[name].encode("latin-1") for name in PASSED_ON if name in headers}
        answer = await self._ask("/api/launch", {"spec": spec, "id": identity}, said)
        if answer.is_client_error:
            # It judges the request, and would judge it likewise again.
            words = _read(answer, _Refusal).message
            return LaunchStep([msgspec.Raw(msgspec.json.encode(FailedEvent(f"{words}\n", answer.status_code)))])
        return _read(answer, LaunchStep)

    async def places(self, tickets: Sequence[str]) -> Mapping[str, msgspec.Raw]:
        """What is to be said of those of these tickets that stand far from the front.

        Raises:
            UnansweredError: there is no answer.
        """
        return _read(await self._ask("/api/places", {"tickets": tickets}, {}), _Places).places

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, path: str, body: object, headers: Mapping[bytes, bytes]) -> httpx.Response:
        async with self._turns:
            try:
                answer = await self._http.post(path, content=msgspec.json.encode(body), headers=dict(headers))
            except httpx.HTTPError as error:
                raise UnansweredError(str(error) or type(error).__name__) from error
        if answer.is_server_error:
            raise UnansweredError(f"it answered {answer.status_code}")
        return answer


def _read(answer: httpx.Response, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        raise UnansweredError(f"it answered {answer.status_code}, and {error}") from error
