"""One run of chaos: faults one after the other while visitors work, and then the ledger."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

from tests.bench.report import Table, percentile
from tests.chaos.clock import Clock
from tests.chaos.faults import Fault, Faults
from tests.chaos.fleet import CAPACITY, HOSTS, NODES, ChaosFleet
from tests.chaos.tiny_disk import tiny_disk
from tests.chaos.visitors import Visitors
from tests.support.waiting import wait_until

LASTS_SECONDS = (3.0, 9.0)
WHOLE_SECONDS = 90.0
"""A fleet that is not whole again after so long counts as broken."""

MEMORY_MIB, FILES = 150.0, 200
"""More than restarted programs differ by, and less than what an hour's leak of a socket each second would come to."""


@dataclass(frozen=True)
class Outcome:
    """What is left when all is over."""

    visitors: Table
    faults: Table
    problems: list[str]
    """What must not be; empty after a good run."""


@dataclass
class Run:
    """Chaos under way in one fleet."""

    fleet: ChaosFleet
    crowd: Visitors
    faults: Faults
    rng: Random
    whole: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from a fault's end until nothing was out of order, by the fault's name."""
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    problems: list[str] = field(default_factory=list)

    def trouble(self, seconds: float, every: float) -> None:
        """Bring one fault after the other: all kinds in a random order, then again in another one."""
        ends_at, order = time.monotonic() + seconds, list[Fault]()
        while time.monotonic() < ends_at:
            if not order:
                order = self.faults.all()
                self.rng.shuffle(order)
            began = time.monotonic()
            self._suffer(order.pop())
            time.sleep(max(0.0, began + every - time.monotonic()))

    def _suffer(self, fault: Fault) -> None:
        ledger = self.crowd.ledger
        lost = len(ledger.lost) + len(ledger.unserved)
        heal = fault.begin()
        time.sleep(self.rng.uniform(*LASTS_SECONDS))
        heal()
        healed = time.monotonic()
        self._await_whole(f"after: {fault.name}")
        seconds = time.monotonic() - healed
        lost = len(ledger.lost) + len(ledger.unserved) - lost
        self.whole[fault.name].append(seconds)
        self.lost[fault.name] += lost
        print(f"{fault.name:26} whole after {seconds:4.1f} s, lost {lost}", flush=True)

    def _await_whole(self, when: str, *, empty: bool = False) -> None:
        def whole() -> bool:
            return not self.fleet.faults() and not (empty and self.fleet.in_use())

        try:
            wait_until(whole, WHOLE_SECONDS)
        except AssertionError:
            said = [*self.fleet.faults(), *([f"{self.fleet.in_use()} slots in use"] if empty else [])]
            self.problems.append(f"not whole within {WHOLE_SECONDS:.0f} s {when}: {'; '.join(said)}")

    def account(self, memory: float, files: int) -> Outcome:
        """Everybody has gone: every slot is free again, and nothing that is stopped still runs."""
        ledger = self.crowd.ledger
        self._await_whole("at the end", empty=True)
        self.fleet.stop()
        left = self.fleet.left_behind()
        self.problems += self.faults.problems
        self.problems += [f"lost: {each}" for each in ledger.lost]
        self.problems += [f"no sandbox: {each}" for each in ledger.unserved]
        self.problems += [f"handed out twice: {each}" for each in ledger.twice]
        self.problems += [f"still runs: {each}" for each in left]
        if memory > MEMORY_MIB or files > FILES:
            self.problems.append(f"grew by {memory:.0f} MiB and {files} open files")
        rows = [
            ["visitors", str(ledger.visitors)],
            ["looks at their variable", str(ledger.checks)],
            ["sessions lost, but by their own node's power cut", str(len(ledger.lost))],
            ["sessions lost by their own node's power cut", str(ledger.power_cut)],
            ["visitors without a sandbox", str(len(ledger.unserved))],
            ["sandboxes handed out twice", str(len(ledger.twice))],
            ["longest wait for a sandbox", f"{ledger.slowest_seconds:.1f} s"],
            ["processes left", str(len(left))],
            ["memory grown", f"{memory:.0f} MiB"],
            ["open files grown", str(files)],
        ]
        return Outcome(Table("What became of the visitors", ["", "count"], rows), self._by_fault(), self.problems)

    def _by_fault(self) -> Table:
        return Table(
            "Seconds until the fleet was whole again, from the end of a fault",
            ["fault", "times", "median", "slowest", "lost"],
            [
                [name, str(len(each)), f"{percentile(each, 50):.1f}", f"{max(each):.1f}", str(self.lost[name])]
                for name, each in sorted(self.whole.items())
            ],
            f"{HOSTS} redirector hosts on PostgreSQL, {NODES} nodes with {CAPACITY} sandboxes each. Lost are sessions "
            "and visitors without a sandbox.",
        )


def run(*, minutes: float, seed: int, every: float, visitors: int) -> Outcome:
    """Let chaos loose for so many minutes; the same seed brings the same faults in the same order."""
    rng = Random(seed)
    with ExitStack() as stack:
        fleet = ChaosFleet()
        # Whatever is mounted there goes only after the programs have ended.
        stack.enter_context(tiny_disk(fleet.nodes[1].run_dir))
        clock = Clock.make(fleet.root)
        fleet.nodes[0].agent.settings |= clock.environment
        stack.enter_context(fleet)
        crowd, faults = Visitors(fleet, visitors, Random(seed)), Faults(fleet, clock, rng)
        faults.prepare()
        crowd.start()
        under_way = Run(fleet, crowd, faults, rng)
        memory, files = fleet.footprint()
        try:
            under_way.trouble(60 * minutes, every)
        finally:
            crowd.stop()
        memory_after, files_after = fleet.footprint()
        return under_way.account(memory_after - memory, files_after - files)
