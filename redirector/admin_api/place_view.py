"""Where the next visitor would go, and why each other node would not get them. Pure, and takes nothing."""

from __future__ import annotations

from random import Random

from redirector.admin_api.answers import CandidateView, PlaceView
from redirector.model.nodes import eligibility, slots
from redirector.model.placement import choose, ranking_of, verdict
from redirector.model.snapshot import FleetSnapshot
from tmpnb_common.wire import DEFAULT_POOL


def view_of_place(snapshot: FleetSnapshot, pool: str, rng: Random) -> PlaceView:
    """What `GET /api/place` says. Of nodes that are equal any may come next; the one named is one of them."""
    ranking = ranking_of(snapshot.nodes, snapshot.board, pool)
    chosen = choose(ranking, ranking.free, (), (), rng)
    lucky = chosen is not None and ranking.free.get(chosen, 0) > 0
    if pool != DEFAULT_POOL and not ranking.free:
        word = "unknown_pool"
    else:
        word = "placed" if lucky else verdict(ranking, ranking.free, {})
    following = chosen if lucky else None
    return PlaceView(pool, following, word, [_why(snapshot, name, pool, following) for name in snapshot.nodes])


def _why(snapshot: FleetSnapshot, name: str, pool: str, chosen: str | None) -> CandidateView:
    seen = snapshot.board.of(name)
    place = eligibility(snapshot.nodes[name], seen)
    offered = None if seen.stats is None else slots(seen.stats, pool)
    free = offered.available if offered is not None else 0
    coming = offered.starting + offered.startable if offered is not None else 0
    if place.order == "never":
        reason = place.reason
    elif offered is None:
        reason = f"has no pool {pool}"
    elif name == chosen:
        reason = "next: nobody has more free slots"
    elif place.order == "last":
        reason = place.reason
    elif not free:
        reason = "nothing is free" + (f", {coming} may be in a moment" if coming else "")
    else:
        reason = "has fewer free slots, or as many and the dice fell otherwise"
    return CandidateView(name, place.order, free, coming, reason)
