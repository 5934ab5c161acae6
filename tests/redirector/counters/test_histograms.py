"""Durations in buckets add up over workers."""

from __future__ import annotations

from collections import Counter

from redirector.counters.histograms import PLACEMENT, QUEUE, observed, read


def test_what_was_observed_is_counted_in_every_bucket_it_fits_into() -> None:
    counters: Counter[str] = Counter()
    for seconds in (0.004, 0.01, 0.3, 60.0):
        counters.update(observed(PLACEMENT, seconds))
    found = dict(read(PLACEMENT, counters).upto)
    assert found["0.005"] == 1
    assert found["0.01"] == 2, "a bound belongs to its bucket"
    assert found["0.25"] == 2
    assert found["0.5"] == 3
    assert found["10"] == 3
    assert found["+Inf"] == 4
    assert read(PLACEMENT, counters).total_seconds == 60.314


def test_two_histograms_do_not_mix() -> None:
    assert read(QUEUE, observed(PLACEMENT, 1.0)).total_seconds == 0.0


def test_names_of_counters_fit_into_their_column() -> None:
    assert all(len(name) <= 64 for scale in (PLACEMENT, QUEUE) for name in observed(scale, 10_000))
