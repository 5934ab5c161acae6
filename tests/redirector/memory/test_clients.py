"""Whose request it is, whatever proxies write, and what it is counted under."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model.clients import UNKNOWN, Width, client_address, parsed_address, shares_of

FREE = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("address", "keys"),
    [
        ("198.51.100.7", ["4:c6336407"]),
        ("198.51.100.7:51234", ["4:c6336407"]),
        ("::ffff:198.51.100.7", ["4:c6336407"]),
        ("[::ffff:198.51.100.7]:80", ["4:c6336407"]),
        ("2001:db8:1:2:3:4:5:6", ["6:20010db800010002"]),
        ("[2001:db8:1:2:3:4:5:6]:443", ["6:20010db800010002"]),
        ('"[2001:db8:1:2:3:4:5:6]"', ["6:20010db800010002"]),
        ("fe80::1%eth0", ["6:fe80000000000000"]),
        ("10.1.2.3", []),
        ("10.1.2.3:80", []),
        ("::ffff:10.1.2.3", []),
        ("", [UNKNOWN]),
        ("unix:", [UNKNOWN]),
        ("unknown", [UNKNOWN]),
        ("_hidden", [UNKNOWN]),
        ("10.1.2", [UNKNOWN]),
        ("127.1", [UNKNOWN]),
    ],
)
def test_addresses_are_counted_as_one_client_would_have_them(address: str, keys: list[str]) -> None:
    assert [share.key for share in shares_of(address, FREE)] == keys


def test_the_key_of_a_wider_network_is_the_beginning_of_those_within() -> None:
    shares = shares_of("2001:db8:1:2::3", FREE, (Width(64, 100), Width(56, 120), Width(48, 140)))
    assert [share.percent for share in shares] == [100, 120, 140]
    assert shares[0].key.startswith(shares[1].key)
    assert shares[1].key.startswith(shares[2].key)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("203.0.113.9", None, 0, "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1", 0, "203.0.113.9"),
        ("127.0.0.1", None, 0, "127.0.0.1"),
        ("127.0.0.1", None, 1, "127.0.0.1"),
        ("", None, 1, ""),
        ("", "198.51.100.7", 1, "198.51.100.7"),
        ("", "10.0.0.1, 198.51.100.7", 1, "198.51.100.7"),
        ("", "10.0.0.1,198.51.100.7:4711", 1, "198.51.100.7"),
        ("", "[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("127.0.0.1", "198.51.100.7, 10.0.0.1", 2, "198.51.100.7"),
        # Somebody asks through a proxy that the redirector was not told of, or of which it expected more.
        ("127.0.0.1", "198.51.100.7", 0, ""),
        ("10.0.0.1", "", 0, ""),
        ("127.0.0.1", "10.0.0.1", 2, ""),
        ("127.0.0.1", "unknown", 1, ""),
        ("127.0.0.1", "10.0.0.1, ", 1, ""),
    ],
)
def test_the_address_is_the_visitors_own_or_nobodys(
    peer: str, forwarded: str | None, proxies: int, address: str
) -> None:
    assert client_address(peer, forwarded, proxies, FREE) == address


@given(st.sampled_from(["127.0.0.1", "", "10.0.0.1"]), st.text(), st.integers(0, 3))
def test_no_header_frees_anyone_but_by_a_free_address_of_its_own(peer: str, forwarded: str, proxies: int) -> None:
    address = client_address(peer, forwarded, proxies, FREE)
    if not shares_of(address, FREE):
        assert proxies
        assert parsed_address(forwarded.split(",")[-proxies]) == parsed_address(address)
