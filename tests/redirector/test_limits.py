"""How many sandboxes one client address may have."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from redirector.limits import LONGEST_HOLD_SECONDS, Allowance, Limits, client_of


def turns(bucket: Limits, count: int, *, address: str = "198.51.100.7", now: float = 0.0) -> list[float | None]:
    return [bucket.take(address, now) for _ in range(count)]


def test_a_quiet_client_gets_its_burst_at_once_and_then_waits_its_turn() -> None:
    assert turns(Limits(Allowance(3, 60)), 5) == [0, 0, 0, 1, 2]


def test_the_bucket_fills_again_and_never_beyond_its_burst() -> None:
    bucket = Limits(Allowance(3, 60))
    turns(bucket, 3)
    assert turns(bucket, 2, now=1.0) == [0, 1]
    assert turns(bucket, 4, now=1000.0) == [0, 0, 0, 1]


def test_one_client_does_not_count_for_another() -> None:
    bucket = Limits(Allowance(1, 60))
    turns(bucket, 5)
    assert turns(bucket, 1, address="198.51.100.8") == [0]


def test_who_would_wait_unbearably_long_is_sent_away_and_that_costs_nothing_more() -> None:
    bucket = Limits(Allowance(1, 1))
    assert turns(bucket, 8) == [0, 60, 120, 180, 240, 300, None, None]
    assert turns(bucket, 1, now=61.0) == [299]
    assert LONGEST_HOLD_SECONDS == 300


def test_clients_with_nothing_against_them_are_forgotten_and_others_are_not_for_ever_looked_through() -> None:
    bucket = Limits(Allowance(1, 60), kept=4)
    for number in range(6):
        turns(bucket, 1, address=f"198.51.100.{number}", now=0.0)
    assert len(bucket._due) == 6, "each of them has had its share just now"
    for number in range(3):
        turns(bucket, 1, address=f"203.0.113.{number}", now=100.0)
    assert len(bucket._due) < 6
    assert turns(bucket, 2, address="203.0.113.0", now=100.0) == [1, 2], "it is remembered"


def test_no_burst_is_no_limit() -> None:
    assert turns(Limits(Allowance(0, 1)), 50) == [0] * 50


def test_each_worker_hands_out_its_part() -> None:
    assert Allowance(5, 60).part(2) == Allowance(3, 30)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("", None),
        ("unix:", None),
    ],
)
def test_addresses_are_counted_as_one_client_would_have_them(address: str, client: str | None) -> None:
    assert client_of(address, [ip_network("10.0.0.0/8"), ip_network("::1/128")]) == client


def test_clients_with_nothing_against_them_are_forgotten() -> None:
    bucket = Limits(Allowance(1, 60), kept=10)
    for number in range(10):
        bucket.take(f"198.51.100.{number}", float(number))
    bucket.take("203.0.113.1", 9.5)
    assert turns(bucket, 1, address="198.51.100.9", now=9.5) == [0.5], "this one still owes"
    assert len(bucket._due) == 2
