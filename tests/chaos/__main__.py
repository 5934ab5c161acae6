"""Chaos: a fleet of real sandboxes, visitors who keep a variable, a random fault every so often, and a ledger.

`make chaos ARGS="--minutes 10 --seed 7"`. It exits with 1 if anybody lost anything other than by their own node's
power cut, or if anything was left.
"""

from __future__ import annotations

import sys

import click

from tests.bench.report import machine
from tests.chaos.fleet import CAPACITY, NODES
from tests.chaos.run import run


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(min=0.1, max=24 * 60))
@click.option("--seed", default=1, show_default=True, help="The same seed brings the same faults.")
@click.option("--every", default=20.0, show_default=True, help="Seconds from one fault to the next.")
@click.option("--visitors", default=6, show_default=True, type=click.IntRange(1, NODES * (CAPACITY - 1)))
def main(minutes: float, seed: int, every: float, visitors: int) -> None:
    """Break a fleet again and again, and count what its visitors lose."""
    print(f"{machine()}\n")
    outcome = run(minutes=minutes, seed=seed, every=every, visitors=visitors)
    print(f"\n{outcome.visitors}\n{outcome.faults}")
    for problem in outcome.problems:
        print(problem)
    sys.exit(1 if outcome.problems else 0)


if __name__ == "__main__":
    main()
