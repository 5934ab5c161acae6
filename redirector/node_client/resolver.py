"""Host names into addresses, in bounded time: a name server that hangs must not hold whoever asks.

The system's own lookup cannot be given a time. So each runs in a thread of its own, and whoever cannot wait any longer
gets what the name meant when it was last known.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from threading import Event, Lock, Thread

WAIT_SECONDS = 0.5
"""A lookup takes milliseconds; one that needs longer than this is not waited for if an older answer is known."""

Resolve = Callable[[str], Sequence[str]]


def resolve(host: str) -> list[str]:
    """Ask the system: addresses in its order of preference."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Asked:
    """A lookup under way."""

    def __init__(self) -> None:
        self.done = Event()
        self.addresses: Sequence[str] = ()
        self.error: OSError | None = None


class NameLookup:
    """Remembers every name's last addresses. Safe to use from several threads; at most one lookup a name at a time."""

    def __init__(self, ask: Resolve = resolve) -> None:
        self._ask = ask
        self._lock = Lock()
        self._known: dict[str, Sequence[str]] = {}
        self._under_way: dict[str, _Asked] = {}

    def addresses(self, host: str, seconds: float) -> Sequence[str]:
        """The addresses of a host.

        Raises:
            TimeoutError: nobody answered in time, and nothing is known from before.
            OSError: the name means nothing, or not at the moment.
        """
        if is_address(host):
            return [host]
        with self._lock:
            known, asked = self._known.get(host, ()), self._under_way.get(host)
            if asked is None:
                asked = self._under_way[host] = _Asked()
                # A daemon: a lookup that hangs does not keep the program from ending.
                Thread(target=self._look_up, args=[host, asked], name=f"lookup {host:.40}", daemon=True).start()
        if not asked.done.wait(min(seconds, WAIT_SECONDS) if known else seconds):
            if known:
                return known
            raise TimeoutError(f"no answer about {host:.80}")
        if asked.error is not None:
            raise asked.error
        return asked.addresses

    def _look_up(self, host: str, asked: _Asked) -> None:
        try:
            asked.addresses = self._ask(host)
        except OSError as error:
            asked.error = error
        except UnicodeError:
            asked.error = socket.gaierror(f"{host!r:.80} is no host name")
        with self._lock:
            del self._under_way[host]
            if asked.addresses:
                self._known[host] = asked.addresses
        asked.done.set()


def is_address(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
