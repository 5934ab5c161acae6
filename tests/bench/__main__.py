"""Run the benchmarks: `make bench`, or some by name: `make bench ARGS="entry"`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr

from tests.bench import (
    browser,
    claims,
    dashboard,
    entry,
    flash_crowd,
    footprint,
    launch,
    placing,
    polling,
    proxy_restart,
    recovery,
    refill,
    sandbox_cost,
    streams,
    thebe,
    traffic,
    waiting_room,
)
from tests.bench.report import Table, machine

BENCHMARKS: dict[str, Callable[[], Table]] = {
    "browser": browser.run,
    "claims": claims.run,
    "dashboard": dashboard.run,
    "entry": entry.run,
    "flash_crowd": flash_crowd.run,
    "footprint": footprint.run,
    "launch": launch.run,
    "placing": placing.run,
    "polling": polling.run,
    "proxy_restart": proxy_restart.run,
    "recovery": recovery.run,
    "refill": refill.run,
    "sandbox_cost": sandbox_cost.run,
    "streams": streams.run,
    "thebe": thebe.run,
    "traffic": traffic.run,
    "waiting_room": waiting_room.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}\n")
        return 2
    print(f"{machine()}\n")
    for name in names or BENCHMARKS:
        print(quietly(BENCHMARKS[name]), flush=True)
    return 0


def quietly(benchmark: Callable[[], Table]) -> Table:
    """Run one; what its fleets logged matters only if it fails."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return benchmark()
    except BaseException:
        sys.stderr.write(said.getvalue())
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
