"""HTTP over a UNIX socket, bounded in size and time whatever the other side does."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tmpnb_common.bounded_reading import Budget, TooLongError, unix_socket

MAX_BODY = 1 << 20
"""More than any answer that the agent asks for."""


class NoAnswerError(Exception):
    """Nobody listens, or what came was late, cut off or no HTTP. The text says which and holds no path."""


@dataclass(frozen=True, slots=True)
class UnixResponse:
    """One answer; `body` is cut at the most that was asked for."""

    status: int
    body: bytes


def request(
    path: Path,
    method: str,
    target: str,
    *,
    within: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    most: int = MAX_BODY,
) -> UnixResponse:
    """Send one request to whoever listens at `path`; the whole exchange takes at most `within` seconds.

    Raises:
        NoAnswerError: there is no whole answer.
    """
    connection = _Connection(path, Budget(within, most))
    try:
        connection.request(method, target, body=body, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return UnixResponse(response.status, response.read(most))
    except TimeoutError as error:
        raise NoAnswerError("no answer in time") from error
    except OSError as error:
        raise NoAnswerError(error.strerror or type(error).__name__) from error
    except TooLongError as error:
        raise NoAnswerError(f"more than {most} bytes came") from error
    except Exception as error:
        # The library's parsers of headers raise whatever they come upon, and what they parse is a stranger's.
        raise NoAnswerError(f"what came is no HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, budget: Budget) -> None:
        super().__init__("localhost")
        self._path = path
        self._budget = budget

    def connect(self) -> None:
        self.sock = unix_socket(str(self._path), self._budget)


def listens(path: Path) -> bool:
    """Whether a server listens there, be it too busy at the moment to take one more connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN)
