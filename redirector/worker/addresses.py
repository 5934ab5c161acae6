"""Which hosts contents may come from: public addresses, and the networks that an operator lists.

The address that was checked is the one that is connected to: a name that means something else a moment later changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from redirector.model.clients import Network
from redirector.node_client.resolver import NameLookup
from redirector.worker.errors import FetchError

Address = IPv4Address | IPv6Address

PORTS = {"https": 443, "http": 80}

NAT64 = ip_network("64:ff9b::/96")
"""IPv6 addresses in here lead to the IPv4 address in their last 32 bits."""

LOOKUP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL leads, after its name was resolved and its addresses were checked."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def site(self) -> tuple[str, str, int]:
        """What two URLs have in common that may have the same token."""
        return self.scheme, self.host, self.port


class AddressCheck:
    """Resolves hosts and refuses those that a stranger's link must not reach from here."""

    def __init__(
        self,
        networks: Sequence[Network] = (),
        resolve: Callable[[str, float], Sequence[str]] | None = None,
    ) -> None:
        """`networks` are private ones that are allowed; `resolve` returns a host's addresses within so many seconds."""
        self._networks = tuple(networks)
        self._resolve = resolve or NameLookup().addresses

    def origin(self, url: str) -> Origin:
        """The checked origin of a URL.

        Raises:
            FetchError: it is no plain address, its name means nothing, or it leads into a private network.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise FetchError(f"{url!r:.100} is no address") from None
        if parts.scheme not in PORTS or not host or port == 0:
            raise FetchError(f"{url!r:.100} is no https address")
        if parts.username is not None or parts.password is not None:
            raise FetchError("the address holds a user name or a password, which belong into a token file")
        addresses = tuple(self._addresses(host))
        refused = [text for text in addresses if not self._is_allowed(_unwrapped(text))]
        if refused:
            raise FetchError(
                f"{host:.100} leads to {refused[0]}, which is in no public network; "
                "TMPNB_CONTENT_NETWORKS lists private ones that are allowed"
            )
        if parts.scheme == "http" and not all(self._is_listed(_unwrapped(text)) for text in addresses):
            raise FetchError(f"{host:.100} is asked over http: outside of TMPNB_CONTENT_NETWORKS it has to be https")
        return Origin(parts.scheme, host, port or PORTS[parts.scheme], addresses)

    def _addresses(self, host: str) -> Sequence[str]:
        try:
            addresses = self._resolve(host, LOOKUP_SECONDS)
        except TimeoutError:
            raise FetchError(f"nobody says what {host:.100} means within {LOOKUP_SECONDS:.0f} s") from None
        except OSError:
            raise FetchError(f"the host name {host:.100} cannot be resolved") from None
        if not addresses:
            raise FetchError(f"the host name {host:.100} cannot be resolved")
        return addresses

    def _is_allowed(self, address: Address) -> bool:
        return (address.is_global and not address.is_multicast) or self._is_listed(address)

    def _is_listed(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _unwrapped(text: str) -> Address:
    """The address that packets end up at: IPv6 has several ways to write an IPv4 address.

    Raises:
        FetchError: the name server gave no address.
    """
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        raise FetchError(f"{text!r:.60} is no address") from None
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in NAT64:
        inner = IPv4Address(address.packed[12:])
    return inner or address
