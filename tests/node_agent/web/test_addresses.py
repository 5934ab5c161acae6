"""The addresses that browsers get, in both origin modes."""

from __future__ import annotations

import pytest

from node_agent.errors import NodeConfigError
from node_agent.settings import table as config
from node_agent.web.addresses import Addresses

KEY = "abcdefgh" + "k" * 26


def test_on_the_nodes_origin_a_sandbox_is_a_path_and_what_is_shared_too() -> None:
    addresses = Addresses("https://n1.example.org:8443", own_origins=False)
    assert addresses.sandbox(KEY, "/lab?a=b") == f"/user/{KEY}/lab?a=b"
    assert addresses.shared == ""


def test_on_an_origin_of_its_own_a_sandbox_has_the_same_path_below_a_host_of_its_name() -> None:
    addresses = Addresses("https://n1.example.org:8443", own_origins=True)
    assert addresses.sandbox(KEY, "/lab?a=b") == f"https://abcdefgh.n1.example.org:8443/user/{KEY}/lab?a=b"
    assert addresses.shared == "https://n1.example.org:8443"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8101", "http://[::1]:8101"])
def test_a_host_of_its_own_needs_a_name_to_stand_below(url: str) -> None:
    with pytest.raises(NodeConfigError, match="URL has to have a host name"):
        config.load({"TMPNB_NODE_RUNTIME": "process", "TMPNB_NODE_ORIGIN": "sandbox", "TMPNB_NODE_URL": url})
