from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from redirector.admin_api.calls import checked_url
from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import NotARedirectorError, OutcomeUnknownError, RefusedError, UnreachableError
from redirector.admin_api.views import PollerView
from tests.redirector.cli.fake_redirector import TOKEN, Answer, FakeRedirector, node
from tests.support.base_ports import free_ports


@pytest.fixture
def fake() -> Iterator[FakeRedirector]:
    with FakeRedirector(node("n1"), node("n2", 8102, claimed=2)) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeRedirector) -> AdminClient:
    return AdminClient(fake.url, TOKEN, answer_seconds=5)


def test_nodes_come_as_objects_with_every_field(client: AdminClient) -> None:
    first, second = client.nodes()
    assert (first.name, first.url, first.health) == ("n1", "http://127.0.0.1:8101", "up")
    assert second.claimed == 2
    assert first.pools["default"].available == 4


def test_a_node_has_exactly_the_fields_of_the_contract(client: AdminClient) -> None:
    assert msgspec.to_builtins(client.node("n1")) == node("n1")


def test_the_fleet_comes_with_its_counts_and_poller(client: AdminClient) -> None:
    fleet = client.fleet()
    assert (fleet.available, fleet.capacity, fleet.claimed) == (8, 8, 2)
    assert fleet.poller == PollerView("here:1", 0.5)


def test_adding_says_whether_the_node_is_new(client: AdminClient) -> None:
    assert client.add("http://127.0.0.1:8103", name="n3")[0] is True
    assert client.add("http://127.0.0.1:8103", name="n3")[0] is False


def test_only_what_was_given_is_sent_when_a_node_is_added(client: AdminClient, fake: FakeRedirector) -> None:
    client.add("http://127.0.0.1:8103", token="the-token-of-the-node")
    assert fake.requests[-1].body == {"url": "http://127.0.0.1:8103", "token": "the-token-of-the-node"}


def test_draining_twice_changes_something_once(client: AdminClient) -> None:
    changed, drained = client.drain("n1", reason="kernel update")
    assert changed
    assert (drained.intent, drained.intent_reason) == ("draining", "kernel update")
    assert client.drain("n1")[0] is False


def test_a_refusal_carries_its_code(client: AdminClient) -> None:
    with pytest.raises(RefusedError) as refusal:
        client.remove("n2")
    assert refusal.value.code == "has_sessions"
    client.remove("n2", force=True)
    assert [each.name for each in client.nodes()] == ["n1"]


@pytest.mark.parametrize("name", ["n9", "--force", "a/b", "%2e%2e", "ä", "", ".", ".."])
def test_a_name_of_any_shape_reaches_the_redirector_as_one_name(client: AdminClient, name: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        client.node(name)
    assert refusal.value.code == "unknown_node"


def test_a_wrong_token_is_a_refusal_and_is_not_shown(fake: FakeRedirector) -> None:
    with pytest.raises(RefusedError) as refusal:
        AdminClient(fake.url, "a-wrong-token").nodes()
    assert refusal.value.code == "forbidden"
    assert "a-wrong-token" not in str(refusal.value)


def test_netrc_does_not_replace_the_token(
    fake: FakeRedirector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    AdminClient(fake.url, TOKEN).nodes()
    assert fake.requests[-1].authorization == f"Bearer {TOKEN}"


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(
    client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(client.nodes()) == 2


def test_a_redirect_is_not_followed_so_the_token_stays(client: AdminClient, fake: FakeRedirector) -> None:
    with FakeRedirector() as elsewhere:
        fake.answers = lambda request: Answer(307, headers={"Location": f"{elsewhere.url}{request.path}"})
        with pytest.raises(UnreachableError, match="redirects elsewhere"):
            client.drain("n1")
        assert elsewhere.requests == []


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    client = AdminClient(f"http://127.0.0.1:{free_ports(1)[0]}", TOKEN)
    with pytest.raises(UnreachableError):
        client.drain("n1")
    assert client.healthy() is False


@pytest.mark.parametrize("url", ["http://a..b", "http://nosuch.invalid", "http://x y"])
def test_a_host_that_cannot_be_looked_up_is_unreachable(url: str) -> None:
    with pytest.raises(UnreachableError):
        AdminClient(url, TOKEN).nodes()


def test_plain_http_where_tls_was_expected_is_unreachable(fake: FakeRedirector) -> None:
    client = AdminClient(fake.url.replace("http:", "https:"), TOKEN)
    with pytest.raises(UnreachableError, match="TLS"):
        client.drain("n1")


def test_a_connection_that_breaks_after_the_request_leaves_a_change_unknown(
    client: AdminClient, fake: FakeRedirector
) -> None:
    fake.answers = lambda _: Answer(200, hang_up=True)
    with pytest.raises(OutcomeUnknownError):
        client.drain("n1")


def test_a_connection_that_breaks_while_reading_has_changed_nothing(client: AdminClient, fake: FakeRedirector) -> None:
    fake.answers = lambda _: Answer(200, hang_up=True)
    with pytest.raises(UnreachableError):
        client.nodes()


def test_an_answer_cut_short_leaves_a_change_unknown(client: AdminClient, fake: FakeRedirector) -> None:
    fake.answers = lambda _: Answer(200, raw=b'{"changed"', headers={"Content-Length": "999", "Connection": "close"})
    with pytest.raises(OutcomeUnknownError):
        client.drain("n1")


def test_a_gateway_that_answers_for_the_redirector_leaves_a_change_unknown(
    client: AdminClient, fake: FakeRedirector
) -> None:
    fake.answers = lambda _: Answer(504, raw=b"<h1>Gateway Time-out</h1>")
    with pytest.raises(OutcomeUnknownError):
        client.remove("n1")


def test_an_endless_answer_is_given_up(client: AdminClient, fake: FakeRedirector) -> None:
    fake.answers = lambda _: Answer(200, raw=b" " * (17 * 2**20))
    with pytest.raises(UnreachableError, match="endless"):
        client.nodes()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, raw=b"<html>"),
        Answer(200, []),
        Answer(200, {"nodes": {}}),
        Answer(200, {"nodes": [{"name": 1}]}),
        Answer(200, {"nodes": [node("n1", capacity="4")]}),
        Answer(200, {"nodes": [node("n1", since=True)]}),
        Answer(200, {"nodes": [node("n1", eligible=1)]}),
        Answer(200, {"nodes": [node("n1", pools=[])]}),
        Answer(404, raw=b"<h1>Not Found</h1>"),
        Answer(404, {"status": "not_found", "message": "there is nothing here"}),
        Answer(500, {"status": 500}),
        Answer(200, raw=b"[" * 100_000),
    ],
)
def test_whatever_is_no_redirector_is_told_so(client: AdminClient, fake: FakeRedirector, answer: Answer) -> None:
    fake.answers = lambda _: answer
    with pytest.raises(NotARedirectorError):
        client.nodes()


def test_a_wrong_address_that_answers_404_has_certainly_changed_nothing(
    client: AdminClient, fake: FakeRedirector
) -> None:
    fake.answers = lambda _: Answer(404, raw=b"<h1>Not Found</h1>")
    with pytest.raises(NotARedirectorError):
        client.drain("n1")


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://h", "http://", "http://u:p@h", "http://h/?q", "http://h:99999", "http://[::1", "x"],
)
def test_an_address_that_cannot_be_a_redirectors_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        checked_url(url)


def test_an_address_may_have_a_path_and_loses_its_last_slash() -> None:
    assert checked_url("https://example.org/fleet/") == "https://example.org/fleet"
