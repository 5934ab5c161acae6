"""Which hosts may be fetched from, and that the checked address is the one that is connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.worker.addresses import AddressCheck
from redirector.worker.archives import fetch_archive
from redirector.worker.downloads import ArchiveSource
from redirector.worker.errors import FetchError
from redirector.worker.git import GitSource, fetch_git
from tests.redirector.worker.conftest import BOUNDS, Unpacked, limits
from tests.support.authority import Authority
from tests.support.forge import Forge, serving_forge

NOT_PUBLIC = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
)


def checking(*addresses: str, allowed: Sequence[str] = ()) -> AddressCheck:
    return AddressCheck([ip_network(network) for network in allowed], lambda _host, _seconds: addresses)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_private_addresses_are_refused_unless_they_are_listed(address: str) -> None:
    with pytest.raises(FetchError, match="TMPNB_CONTENT_NETWORKS"):
        checking("93.184.216.34", address).origin("https://forge.example/x")


def test_public_addresses_are_pinned_and_listed_ones_too() -> None:
    origin = checking("93.184.216.34", "2606:2800:220:1::1").origin("https://forge.example/x")
    assert origin.addresses == ("93.184.216.34", "2606:2800:220:1::1")
    assert checking("10.1.2.3", allowed=["10.0.0.0/8"]).origin("http://intranet.example:3000/x").port == 3000


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://forge.example/x", "has to be https"),
        ("file:///etc/passwd", "no https address"),
        ("ssh://forge.example/x", "no https address"),
        ("https://user:secret@forge.example/", "token file"),
        ("https://forge.example:0/", "no https address"),
        ("https://[::1", "no address"),
    ],
)
def test_other_addresses_are_refused_without_repeating_secrets(url: str, words: str) -> None:
    with pytest.raises(FetchError, match=words) as refused:
        checking("93.184.216.34").origin(url)
    assert "secret" not in str(refused.value)


def test_a_name_that_means_nothing_is_told() -> None:
    def unknown(_host: str, _seconds: float) -> Sequence[str]:
        raise socket.gaierror

    with pytest.raises(FetchError, match="cannot be resolved"):
        AddressCheck(resolve=unknown).origin("https://forge.example/x")


@pytest.fixture
def secure_forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge with TLS for a name that only the check can resolve."""
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    certificate = authority.issue(tmp_path / "forge-certificate", "forge.test")
    with serving_forge(tmp_path / "forge", certificate=certificate, host="forge.test") as forge:
        yield forge


class Rebinding:
    """A name that means this machine's loopback once, and something else from then on."""

    def __init__(self) -> None:
        self.lookups = 0

    def __call__(self, _host: str, _seconds: float) -> Sequence[str]:
        self.lookups += 1
        return ["127.0.0.1"] if self.lookups == 1 else ["169.254.169.254"]


def test_git_connects_to_the_address_that_was_checked(secure_forge: Forge, scratch: Path) -> None:
    secure_forge.repository("course").commit({"a": "x"})
    check = AddressCheck([ip_network("127.0.0.0/8")], Rebinding())
    url = secure_forge.address_of("course")
    with fetch_git(GitSource(url, "main", check.origin(url)), "", scratch, BOUNDS, limits()) as fetched:
        assert fetched is not None
        assert Unpacked(fetched).files == {"a": b"x"}
    with pytest.raises(FetchError, match="no public network"):
        check.origin(url)


def test_a_download_connects_to_the_address_that_was_checked(secure_forge: Forge, scratch: Path) -> None:
    class Checked(Rebinding):
        def __call__(self, host: str, seconds: float) -> Sequence[str]:
            # Twice: for the source itself, and for its first hop.
            addresses = super().__call__(host, seconds)
            return ["127.0.0.1"] if self.lookups == 2 else addresses

    secure_forge.files["/x"] = b"PK"
    check = AddressCheck([ip_network("127.0.0.0/8")], Checked())
    with (
        pytest.raises(Exception, match="damaged"),
        fetch_archive(ArchiveSource(f"{secure_forge.url}/x"), scratch, BOUNDS, check, limits(20)),
    ):
        pass


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_a_certificate_of_another_name_is_refused(secure_forge: Forge, scratch: Path, kind: str) -> None:
    check = AddressCheck([ip_network("127.0.0.0/8")], lambda _host, _seconds: ["127.0.0.1"])
    url = f"https://other.test:{secure_forge.port}/course"
    fetching = (
        fetch_git(GitSource(url, "main", check.origin(url)), "", scratch, BOUNDS, limits())
        if kind == "git"
        else fetch_archive(ArchiveSource(url), scratch, BOUNDS, check, limits())
    )
    with pytest.raises(FetchError), fetching:
        pass
    assert not secure_forge.requests
