"""Whether a pool is fit for visitors, and when to try that out: plain values in and out.

A page that answers does not mean that a kernel starts. So a node tries a sandbox of each pool as a visitor would, when
it first runs an image and now and then later, at times when that takes nothing from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from node_agent.pools.planning import Counts

AGAIN_SECONDS = 120.0
"""After a trial that failed, for what was mended should serve again soon."""

EARLY_SECONDS = 60.0
"""A session whose server dies sooner after its claim than this served nobody."""
EARLY_WINDOW_SECONDS = 600.0
EARLY_ENDS = 3
"""So many of them within the window, and at least half of all sessions that ended in it, are no accident."""
ENDS_KEPT = 50


@dataclass(frozen=True, slots=True)
class PoolTrial:
    """What trying out a pool came to."""

    image: str
    at: float
    """Seconds, on a clock that only runs forward."""
    reason: str = ""
    """Why it failed; empty: it passed."""


@dataclass(frozen=True, slots=True)
class End:
    """A session that ended."""

    at: float
    early: bool
    """Its server died within seconds of the claim."""


def trial_due(counts: Counts, last: PoolTrial | None, *, image: str, every: float, now: float) -> bool:
    """Whether to try out a pool of which nothing is to be started now: never while visitors may want what is left."""
    if every <= 0 or counts.ready == 0 or counts.starting or counts.outdated:
        return False
    if last is None or last.image != image:
        return True
    return now - last.at >= (min(AGAIN_SECONDS, every) if last.reason else every)


def unfit(last: PoolTrial | None, ends: Iterable[End], *, image: str, now: float) -> str:
    """Why visitors should rather go elsewhere; empty while nothing speaks against this pool."""
    if last is not None and last.image == image and last.reason:
        return f"a trial sandbox failed: {last.reason}"
    lately = [end for end in ends if now - end.at < EARLY_WINDOW_SECONDS]
    early = sum(end.early for end in lately)
    if early >= EARLY_ENDS and early * 2 >= len(lately):
        return f"{early} of the last {len(lately)} sessions that ended died within {EARLY_SECONDS:.0f} s of their start"
    return ""
