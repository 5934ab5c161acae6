"""What one exchange with a stranger may take: seconds, and bytes of whatever is received, headers and framing included.

`http.client` bounds one line and one wait, not their number: interim answers, trailers and the extensions of chunks go
on for ever, and a chunk whose size is negative is read to the end. So what it reads from is counted here, below it.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

HEAD_BYTES = 64 * 1024
"""What an answer may hold beside its body: status line, headers, and the framing of its chunks."""


class TooLongError(Exception):
    """More came than was allowed. No `OSError`: it is nothing that the network did."""


class Budget:
    """The seconds and bytes that are left of one exchange. One thread at a time uses it."""

    def __init__(self, seconds: float, size: int) -> None:
        """A budget that runs from now on; `size` is the longest body, in bytes."""
        self._deadline = time.monotonic() + seconds
        self._left = size + HEAD_BYTES

    def seconds(self) -> float:
        """The seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the exchange took too long")
        return left

    def spend(self, received: int) -> None:
        """Count received bytes.

        Raises:
            TooLongError: that was more than was left.
        """
        self._left -= received
        if self._left < 0:
            raise TooLongError("the answer is too long")


class BoundedSocket(socket.socket):
    """A socket whose reads and writes share one budget, so that neither drops nor floods outlast it."""

    budget: Budget

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        self.settimeout(self.budget.seconds())
        received = super().recv(*args, **kwargs)
        self.budget.spend(len(received))
        return received

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.budget.seconds())
        received = super().recv_into(*args, **kwargs)
        self.budget.spend(received)
        return received

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.budget.seconds())
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.budget.seconds())
        super().sendall(*args, **kwargs)


def unix_socket(path: str, budget: Budget) -> BoundedSocket:
    """Connect to a UNIX socket within a budget.

    Raises:
        OSError: nobody listens there, or not in time.
    """
    opened = BoundedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.budget = budget
    try:
        opened.settimeout(budget.seconds())
        opened.connect(path)
    except BaseException:
        opened.close()
        raise
    return opened


class BoundedResponse(http.client.HTTPResponse):
    """An answer that is read within a budget, from whatever kind of socket."""

    def __init__(self, budget: Budget, sock: socket.socket, *args: Any, **options: Any) -> None:
        files = _Files(sock, budget)
        super().__init__(files, *args, **options)  # type: ignore[arg-type]  # only makefile is asked of it


class _Files:
    """What `http.client.HTTPResponse` asks of a socket: a file to read from."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock, self._budget = sock, budget

    def makefile(self, _mode: str) -> io.BufferedReader:
        # Unbuffered, the socket's own file keeps count of who still uses the socket.
        raw = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_Counted(self._sock, raw, self._budget))


class _Counted(io.RawIOBase):
    """Reads from a socket within a budget."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, budget: Budget) -> None:
        self._sock, self._raw, self._budget = sock, raw, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._budget.seconds())
        received = self._raw.readinto(buffer)
        self._budget.spend(received or 0)
        return received

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
