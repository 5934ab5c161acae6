"""What a visitor's address is counted under: one IPv4 address, an IPv6 network and the wider ones around it. Pure.

Invariant: an address that cannot be read is counted, together with all others like it. Only networks that the operator
names are free of limits, so nobody is free by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

UNKNOWN = "?"
"""What all those are counted under whose address nobody can tell."""

NIBBLE = 4
"""Bits of one hexadecimal digit: a key of a wider network is then the beginning of the keys of those in it."""


@dataclass(frozen=True, slots=True)
class Width:
    """IPv6 networks of one size, each of which is counted as a whole."""

    bits: int
    """Length of the prefix, a multiple of four."""
    percent: int
    """What each may have, in percent of what one IPv4 address may."""


ONE_WIDTH = (Width(64, 100),)
"""One home or classroom has at least that much: counting single addresses would count nothing."""


@dataclass(frozen=True, slots=True)
class Share:
    """One thing that a visitor counts for."""

    key: str
    percent: int


def shares_of(address: str, free: Sequence[Network], widths: Sequence[Width] = ONE_WIDTH) -> tuple[Share, ...]:
    """What an address is counted under, the narrowest first; nothing at all if it is one of the free ones."""
    ip = parsed_address(address)
    if ip is None:
        return (Share(UNKNOWN, 100),)
    if any(ip in network for network in free):
        return ()
    if isinstance(ip, IPv4Address):
        return (Share(f"4:{int(ip):08x}", 100),)
    digits = f"{int(ip):032x}"
    return tuple(Share(f"6:{digits[: width.bits // NIBBLE]}", width.percent) for width in widths)


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a text such as proxies write: bare, with a zone, in brackets, or with a port behind it."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def client_address(peer: str, forwarded: str | None, proxies: int, free: Sequence[Network]) -> str:
    """The visitor's own address; empty if nobody can tell it.

    Args:
        peer: who opened the connection; empty for a UNIX socket.
        forwarded: `X-Forwarded-For` as it came; None where there was none.
        proxies: how many of the addresses at its end come from proxies that are trusted.
        free: networks without limits. If one of these forwards requests and is no trusted proxy, then somebody else
            asks through it.
    """
    if forwarded is None:
        return peer
    if not proxies:
        return "" if not shares_of(peer, free) else peer
    hops = forwarded.split(",")
    ip = parsed_address(hops[-proxies]) if len(hops) >= proxies else None
    return "" if ip is None else str(ip)


@dataclass(frozen=True, slots=True)
class PlaceBound:
    """How many places of the waiting room those may hold whose client begins with `client`."""

    client: str
    most: int
