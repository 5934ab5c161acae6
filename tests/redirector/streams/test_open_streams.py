"""How many streams may be open: in all, of one client, and of one IPv6 network."""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from redirector.model.clients import Width
from redirector.streams.open_streams import OpenStreams


def test_one_client_keeps_nobody_else_out() -> None:
    streams = OpenStreams(most=100, per_client=3)
    with ExitStack() as held:
        said = [held.enter_context(streams.one("192.0.2.1")) for _ in range(5)]
        assert [bool(words) for words in said] == [False, False, False, True, True]
        assert "your address" in said[-1]
        assert held.enter_context(streams.one("192.0.2.2")) == ""
        assert streams.count == 4
    assert streams.count == 0
    with streams.one("192.0.2.1") as words:
        assert words == ""


def test_there_is_a_bound_for_all_of_them_free_networks_too() -> None:
    streams = OpenStreams(most=2, per_client=1, free=[ip_network("10.0.0.0/8")])
    with ExitStack() as held:
        said = [held.enter_context(streams.one("10.0.0.1")) for _ in range(3)]
        assert [bool(words) for words in said] == [False, False, True]
        assert "your address" not in said[2]


def test_a_network_of_one_person_counts_as_one() -> None:
    streams = OpenStreams(most=100, per_client=10, widths=[Width(64, 100), Width(48, 150)])
    with ExitStack() as held:
        said = [held.enter_context(streams.one(f"2001:db8:1:{n:x}::1")) for n in range(20)]
        assert [bool(words) for words in said] == [False] * 15 + [True] * 5
        assert held.enter_context(streams.one("2001:db8:2::1")) == ""


def test_those_whose_address_nobody_can_tell_count_as_one_client() -> None:
    streams = OpenStreams(most=100, per_client=1)
    with streams.one("") as first, streams.one("nonsense") as second:
        assert (first, bool(second)) == ("", True)


def test_a_stream_that_ends_in_an_error_is_counted_no_more() -> None:
    streams = OpenStreams(most=1, per_client=1)
    with pytest.raises(RuntimeError), streams.one("192.0.2.1"):
        raise RuntimeError
    assert streams.count == 0
