"""Visitors of a fleet in trouble: each keeps a variable in a kernel and looks again and again whether it is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import requests
import websocket

from tests.chaos.fleet import ANSWER_SECONDS, ChaosFleet
from tests.support.crowd import visit_all
from tests.support.kernels import Kernel, KernelDied, base_of

PATIENCE_SECONDS = 90.0
"""A visitor waits so long for a sandbox, and so long for a kernel that does not answer, before they count as lost."""

LOOK_SECONDS = 2.0
STAY_SECONDS = (20.0, 60.0)
GONE = 410


@dataclass
class Ledger:
    """What became of the visitors; shared by all of their threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    visitors: int = 0
    checks: int = 0
    lost: list[str] = field(default_factory=list)
    """Sessions that ended though their node had power, and how."""
    power_cut: int = 0
    """Sessions that a power cut of their own node took."""
    unserved: list[str] = field(default_factory=list)
    """Visitors who got no sandbox, and what they were told."""
    twice: list[str] = field(default_factory=list)
    """Sandboxes that were given to a second visitor."""
    slowest_seconds: float = 0.0
    """The longest that anybody waited for a sandbox."""
    here: dict[str, int] = field(default_factory=dict)
    """Who is in which sandbox, by its base URL."""


class Visitors:
    """So many people at a time; whoever leaves is followed by somebody new."""

    def __init__(self, fleet: ChaosFleet, count: int, rng: Random) -> None:
        self.ledger = Ledger()
        self._fleet = fleet
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._come_and_go, args=[Random(rng.random())], name=f"visitor {number}")
            for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish what they look at, and go."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _come_and_go(self, rng: Random) -> None:
        while not self._stop.is_set():
            with self.ledger.lock:
                self.ledger.visitors += 1
                number = self.ledger.visitors
            base = self._arrive(number, rng)
            if base:
                self._stay(base, number, rng.uniform(*STAY_SECONDS))
                with self.ledger.lock:
                    self.ledger.here.pop(base, None)

    def _arrive(self, number: int, rng: Random) -> str:
        """Get a sandbox as a browser does, at any host that answers. Its base URL; empty when there was none."""
        began = time.monotonic()
        hosts = [host.url for host in self._fleet.hosts]
        answers: list[int] = []
        while (left := PATIENCE_SECONDS - (time.monotonic() - began)) > 0:
            # A dead host's visitors try again, and the name of the entry leads them to another one.
            [visit] = visit_all([f"{rng.choice(hosts)}/"], count=1, over=0.0, patience=min(left, 15.0))
            answers += visit.answers
            if visit.sandbox:
                base = base_of(visit.sandbox)
                with self.ledger.lock:
                    self.ledger.slowest_seconds = max(self.ledger.slowest_seconds, time.monotonic() - began)
                    if base in self.ledger.here:
                        self.ledger.twice.append(f"visitor {number} got the sandbox of {self.ledger.here[base]}")
                    self.ledger.here[base] = number
                return base
        if not self._stop.is_set():
            with self.ledger.lock:
                self.ledger.unserved.append(f"visitor {number} was told {answers[-8:]}")
        return ""

    def _stay(self, base: str, number: int, seconds: float) -> None:
        """Keep a variable, look at it until it is time to go, and end the sandbox."""
        home = self._fleet.home_of(base).name
        cuts = self._fleet.power_cuts.get(home, 0)
        kernel: Kernel | None = None
        kernel_id, until = "", time.monotonic() + seconds
        secret, problem = str(number * 7919), ""
        try:
            while not problem and not self._stop.is_set() and time.monotonic() < until:
                kernel, problem = self._ask(base, kernel, kernel_id, secret)
                kernel_id = kernel.id if kernel is not None else kernel_id
                self._stop.wait(LOOK_SECONDS)
        finally:
            if kernel is not None:
                kernel.close()
        with self.ledger.lock:
            if problem and self._fleet.power_cuts.get(home, 0) > cuts:
                self.ledger.power_cut += 1
            elif problem:
                self.ledger.lost.append(f"visitor {number} at {home}: {problem}")
        if not problem:
            self._fleet.end(base)

    def _ask(self, base: str, kernel: Kernel | None, kernel_id: str, secret: str) -> tuple[Kernel | None, str]:
        """Look whether the variable is there, over a new connection where the old one broke; and why it is lost."""
        began = time.monotonic()
        last = "never"
        while time.monotonic() - began < PATIENCE_SECONDS:
            try:
                if kernel is None:
                    kernel = _attached(base, kernel_id)
                    if not kernel_id:
                        kernel.run(f"secret = {secret}")
                        kernel_id = kernel.id
                value = kernel.run("secret")
            except (KernelDied, requests.RequestException, websocket.WebSocketException, OSError) as error:
                last = f"{type(error).__name__}: {error}"[:100]
                if kernel is not None:
                    with suppress(websocket.WebSocketException, OSError):
                        kernel.close()
                kernel = None
                if _status(base) == GONE:
                    return None, "410, ended"
                self._stop.wait(0.5)
                continue
            with self.ledger.lock:
                self.ledger.checks += 1
            return kernel, "" if value == secret else f"the variable is {value!r:.60}"
        return None, f"no answer for {PATIENCE_SECONDS:.0f} s, the last was {last}"

    def each(self, do: Callable[[str], None]) -> None:
        """Do something with every sandbox that somebody is in."""
        with self.ledger.lock:
            bases = list(self.ledger.here)
        for base in bases:
            do(base)


def _attached(base: str, kernel_id: str) -> Kernel:
    return Kernel.attach(base, kernel_id) if kernel_id else Kernel(base)


def _status(base: str) -> int:
    try:
        return requests.get(f"{base}api", timeout=ANSWER_SECONDS).status_code
    except requests.RequestException:
        return 0
