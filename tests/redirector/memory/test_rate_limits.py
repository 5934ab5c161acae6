"""How many sandboxes one client address may have."""

from __future__ import annotations

from ipaddress import ip_network

from redirector.memory.bucket_table import BucketTable
from redirector.memory.rate_limits import LONGEST_HOLD_SECONDS, Allowance, RateLimits
from redirector.model.clients import PlaceBound, Width
from redirector.settings.table import load

ADDRESS = "198.51.100.7"


def turns(bucket: RateLimits, count: int, *, address: str = ADDRESS, now: float = 0.0) -> list[float | None]:
    return [bucket.take(address, now) for _ in range(count)]


def test_a_quiet_client_gets_its_burst_at_once_and_then_waits_its_turn() -> None:
    assert turns(RateLimits(Allowance(3, 60)), 5) == [0, 0, 0, 1, 2]


def test_the_bucket_fills_again_and_never_beyond_its_burst() -> None:
    bucket = RateLimits(Allowance(3, 60))
    turns(bucket, 3)
    assert turns(bucket, 2, now=1.0) == [0, 1]
    assert turns(bucket, 4, now=1000.0) == [0, 0, 0, 1]


def test_one_client_does_not_count_for_another() -> None:
    bucket = RateLimits(Allowance(1, 60))
    turns(bucket, 5)
    assert turns(bucket, 1, address="198.51.100.8") == [0]


def test_who_would_wait_unbearably_long_is_sent_away_and_that_costs_nothing_more() -> None:
    bucket = RateLimits(Allowance(1, 1))
    assert turns(bucket, 8) == [0, 60, 120, 180, 240, 300, None, None]
    assert turns(bucket, 1, now=61.0) == [299]
    assert LONGEST_HOLD_SECONDS == 300


def test_no_burst_is_no_limit() -> None:
    assert turns(RateLimits(Allowance(0, 1)), 50) == [0] * 50


def test_what_came_to_nothing_is_given_back() -> None:
    bucket = RateLimits(Allowance(1, 60))
    assert turns(bucket, 1) == [0]
    for _ in range(50):
        bucket.give_back(ADDRESS)
        assert turns(bucket, 1) == [0]
    assert turns(bucket, 1) == [1]


def test_nobody_has_more_than_a_full_bucket_however_much_is_given_back() -> None:
    bucket = RateLimits(Allowance(2, 60))
    for _ in range(9):
        bucket.give_back(ADDRESS)
    assert turns(bucket, 3) == [0, 0, 1]


def test_limits_of_different_purposes_count_apart_in_one_table() -> None:
    table = BucketTable()
    assert turns(RateLimits(Allowance(1, 60), table, "sandbox"), 2) == [0, 1]
    assert turns(RateLimits(Allowance(1, 60), table, "admin"), 2) == [0, 1]


def test_a_wider_network_has_more_than_one_within_it_and_less_than_all_of_them() -> None:
    bucket = RateLimits(Allowance(100, 60, widths=(Width(64, 100), Width(56, 120), Width(48, 140))))
    assert turns(bucket, 100, address="2001:db8:1:1::1") == [0] * 100
    assert bucket.take("2001:db8:1:1::2", 0.0) == 1.0
    same_56 = [bucket.take(f"2001:db8:1:{network:x}::1", 0.0) for network in range(2, 30)]
    assert same_56.count(0) == 20 - 1
    same_48 = [bucket.take(f"2001:db8:1:{network:x}00::1", 0.0) for network in range(1, 30)]
    assert 0 < same_48.count(0) < 29
    assert bucket.take("2001:db8:2::1", 0.0) == 0.0, "elsewhere"


def test_150_networks_of_one_person_do_not_get_150_sandboxes_at_once() -> None:
    settings = load({})
    allowance = Allowance(settings.client_burst, settings.client_per_minute, widths=settings.client_networks)
    bucket = RateLimits(allowance)
    got = [bucket.take(f"2001:db8:1:{network:x}::1", 0.0) for network in range(150)]
    assert got.count(0) < 150


def test_addresses_that_nobody_can_tell_share_one_bucket() -> None:
    bucket = RateLimits(Allowance(2, 60, [ip_network("10.0.0.0/8")]))
    assert [bucket.take(address, 0.0) for address in ("", "unknown", "unix:", "10.0.0.999")] == [0, 0, 1, 2]
    assert bucket.take("10.0.0.1", 0.0) == 0.0


def test_places_to_wait_are_bounded_for_a_client_and_the_networks_around_it() -> None:
    limits = RateLimits(Allowance(0, 1, [ip_network("10.0.0.0/8")], (Width(64, 100), Width(48, 140)), places=100))
    assert limits.places("2001:db8:1:2::3") == [
        PlaceBound("6:20010db800010002", 100),
        PlaceBound("6:20010db80001", 140),
    ]
    assert limits.places("198.51.100.7") == [PlaceBound("4:c6336407", 100)]
    assert limits.places("10.0.0.1") == []
    assert RateLimits(Allowance(5, 1)).places("198.51.100.7") == []
