"""What nodes answer, however badly, as seen through real HTTP."""

from __future__ import annotations

import pytest

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.client import AgentClient
from redirector.node_client.urls import sandbox_url
from tests.support.fleet_node import FakeNode, Mood
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_values import a_node
from tests.support.wire_bytes import packed
from tmpnb_common.claims import Claim, ClaimRequest, Refusal, parse_claim
from tmpnb_common.json_object import JsonError, convert
from tmpnb_common.wire import DEFAULT_POOL, NodeStats

REQUEST = ClaimRequest("t" * 24)


def row(node: FakeNode, **fields: str) -> Node:
    values = {"name": node.name, "url": node.url, "token": node.token, "node_id": node.node_id, **fields}
    return Node(**values)  # type: ignore[arg-type]  # texts, all of them


def claim(
    client: AgentClient, node: Node, request: ClaimRequest = REQUEST, pool: str = DEFAULT_POOL
) -> Claim | Refusal | Failure:
    """Claim for one visitor."""
    [answer] = client.claim(node, pool, [request])
    return answer


def test_stats_are_read(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1", ready=3)
    said = client.stats(node.url)
    assert isinstance(said, NodeStats)
    assert (said.available, said.node_id, said.protocol) == (3, node.node_id, 1)


def test_an_original_tmpnb_redirects_its_stats_within_its_origin(nodes: FakeNodes, client: AgentClient) -> None:
    said = client.stats(nodes.add("old", protocol=0, ready=2).url)
    assert isinstance(said, NodeStats)
    assert (said.available, said.protocol) == (2, 0)


def test_stats_are_asked_for_without_a_token(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    client.stats(node.url)
    assert "authorization" not in node.asked[0].headers


def test_a_redirect_to_another_origin_is_not_followed(nodes: FakeNodes, client: AgentClient) -> None:
    thief = nodes.add("thief")
    node = nodes.add("n1", mood="elsewhere", elsewhere=thief.url)
    assert client.stats(node.url) == Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats to another origin")
    assert isinstance(claim(client, row(node)), Failure)
    assert isinstance(client.put_state(row(node)), Failure)
    assert isinstance(client.token_works(node.url, node.token), Failure)
    assert thief.asked == []


def test_a_redirect_in_a_circle_ends(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1", mood="elsewhere")
    node.elsewhere = node.url
    assert client.stats(node.url) == Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats in a circle")


@pytest.mark.parametrize(
    ("mood", "trouble", "words"),
    [
        ("hanging", FailureKind.TIMEOUT, "no answer within 0.5 s"),
        ("trickling", FailureKind.TIMEOUT, "no answer within 0.5 s"),
        ("endless", FailureKind.PROTOCOL_ERROR, "longer than"),
        ("garbled", FailureKind.PROTOCOL_ERROR, "not JSON"),
        ("failing", FailureKind.PROTOCOL_ERROR, "500"),
        ("mute", FailureKind.REFUSED, "closed the connection"),
        ("orphaned", FailureKind.REFUSED, "its agent does not answer (503 from its proxy)"),
        ("fronted", FailureKind.REFUSED, "its agent does not answer (502 from its proxy)"),
        ("alien", FailureKind.PROTOCOL_ERROR, "not HTTP"),
    ],
)
def test_a_node_that_answers_badly_is_an_observation_within_its_time(
    nodes: FakeNodes, client: AgentClient, mood: Mood, trouble: FailureKind, words: str
) -> None:
    node = nodes.add("n1", mood=mood)
    for failure in (client.stats(node.url), claim(client, row(node))):
        assert isinstance(failure, Failure)
        assert failure.kind is trouble or mood in ("failing", "garbled")
    failure = client.stats(node.url)
    assert isinstance(failure, Failure)
    assert words in failure.reason


def test_a_dead_node_refuses_and_a_name_without_an_address_is_silent(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    assert isinstance(client.stats(node.url), NodeStats)
    nodes.die(node)
    assert client.stats(node.url) == Failure(FailureKind.REFUSED, "connection refused")
    assert client.stats("http://no-such-host.invalid") == Failure(
        FailureKind.TIMEOUT, "its host name cannot be resolved"
    )


def test_a_connection_that_was_closed_meanwhile_is_made_anew(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    assert isinstance(client.stats(node.url), NodeStats)
    nodes.die(node)
    nodes.start(node)
    assert isinstance(claim(client, row(node)), Claim)


def test_a_claim_carries_token_pool_ticket_path_and_attempt(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1", pools={"gpu": 1})
    request = ClaimRequest("t" * 24, "/lab/tree/a.ipynb?reset", "u" * 24)
    answer = claim(client, row(node), request, "gpu")
    assert isinstance(answer, Claim)
    assert answer.url.startswith(f"{node.url}/user/")
    assert answer.url.endswith("/lab/tree/a.ipynb?reset")
    asked = node.asked[-1]
    assert asked.body["pool"] == "gpu"
    assert [convert(ClaimRequest, ticket) for ticket in asked.body["tickets"]] == [request]
    assert asked.headers["authorization"] == f"token {node.token}"


def test_the_same_ticket_gets_the_same_sandbox(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    first, second = (claim(client, row(node)) for _ in range(2))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert first.url == second.url


def test_a_query_without_a_path_goes_to_the_landing_page(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    answer = claim(client, row(node), ClaimRequest("t" * 24, "?reset"))
    assert isinstance(answer, Claim)
    assert answer.url.endswith("/lab?reset")
    assert node.asked[-1].body["tickets"][0]["path"] == ""


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("", "/?token=tmpnb"),
        ("/tree", "/tree?token=tmpnb"),
        ("/notebooks/a.ipynb?x=1", "/notebooks/a.ipynb?x=1&token=tmpnb"),
        ("?x=1", "/?x=1&token=tmpnb"),
    ],
)
def test_an_original_tmpnb_gets_the_path_appended(nodes: FakeNodes, client: AgentClient, path: str, end: str) -> None:
    node = nodes.add("old", protocol=0)
    answer = client.claim_plainly(row(node), path)
    assert isinstance(answer, Claim)
    stem, _, rest = answer.url.partition("/user/")
    assert stem == node.url
    assert rest[rest.index("/") :] == end
    assert answer.available is None
    assert node.asked[-1].body == {}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"ready": 0}, "full"),
        ({"ready": 0, "starting": 1}, "starting"),
        ({"own_state": "draining"}, "draining"),
        ({"token": "another-token"}, "forbidden"),
    ],
)
def test_a_refusal_says_why(nodes: FakeNodes, client: AgentClient, fields: dict[str, object], status: str) -> None:
    node = nodes.add("n1", **fields)
    asking = Node(name="n1", url=node.url, token="a-node-token-for-tests")
    answer = claim(client, asking)
    assert isinstance(answer, Refusal)
    assert answer.status == status


def test_an_unknown_pool_is_a_refusal_of_its_own(nodes: FakeNodes, client: AgentClient) -> None:
    answer = claim(client, row(nodes.add("n1")), pool="gpu")
    assert isinstance(answer, Refusal)
    assert answer.status == "unknown_pool"


def test_a_sandbox_url_may_have_an_origin_below_the_nodes_own_host() -> None:
    node = a_node(url="https://n1.example.org/base")
    assert sandbox_url(node, "/user/k/lab") == "https://n1.example.org/base/user/k/lab"
    assert sandbox_url(node, "https://k.n1.example.org/lab") == "https://k.n1.example.org/lab"


@pytest.mark.parametrize("base", ["https://n1.example.org", "http://n1.example.org:8443", "https://n1.example.org/a"])
@pytest.mark.parametrize(
    "url",
    [
        "http://n1.example.org/user/k/",
        "ftp://n1.example.org/user/k/",
        "javascript://n1.example.org/%0aalert(1)",
        "https://n1.example.org:444/user/k/",
        "https://n1.example.org:0/user/k/",
        "https://n1.example.org:99999/user/k/",
        "https://n1.example.org:-1/user/k/",
        "https://n1.example.org:x/user/k/",
        "https://n1.example.org:\u0664\u0664\u0663/user/k/",
        "https://user@n1.example.org/user/k/",
        "https://user:password@n1.example.org/user/k/",
        "https://evil.example\\@n1.example.org/user/k/",
        "https://evil.example\\.n1.example.org/user/k/",
        "https://evil.example%2f.n1.example.org/user/k/",
        "https://evil.example%00.n1.example.org/",
        "https://..n1.example.org/",
        "https://n1.example.org./user/k/",
        "https://[::1].n1.example.org/",
        "https://",
        "https:n1.example.org/user/k",
        "//evil.example/user/k/",
        "///evil.example/user/k/",
        "/\\evil.example/user/k/",
        "/%5cevil.example/",
        "/../admin",
        "/user/%2e%2e/%2e%2e/admin",
        "/user/k /lab",
        "/user/k\x00",
        "/user/k\r\nSet-Cookie: a=b",
        "/user/\u043a/lab",
        "evil.example",
        "",
    ],
)
def test_a_claim_that_leads_anywhere_but_to_the_node_is_a_failed_claim(base: str, url: str) -> None:
    with pytest.raises(JsonError):
        sandbox_url(a_node(url=base), parse_claim(packed({"url": url})).url)


def test_an_address_with_control_characters_is_none_wherever_it_comes_from() -> None:
    """The library that takes addresses apart leaves some of them out, so they would be in the address alone."""
    for character in "\t\n\r\x00\x7f":
        with pytest.raises(JsonError):
            sandbox_url(a_node(url="https://n1.example.org"), f"https://n1.example.org/user/k{character}/lab")


def test_an_absolute_sandbox_url_may_name_the_port_that_goes_without_saying() -> None:
    node = a_node(url="https://n1.example.org")
    assert sandbox_url(node, "https://k.n1.example.org:443/lab") == "https://k.n1.example.org:443/lab"
    node = a_node(url="http://127.0.0.1:8101")
    assert sandbox_url(node, "http://127.0.0.1:8101/user/k/") == "http://127.0.0.1:8101/user/k/"
    with pytest.raises(JsonError):
        sandbox_url(node, "http://k.127.0.0.1:8101/user/k/")


def test_a_node_cannot_send_visitors_to_another_host(nodes: FakeNodes, client: AgentClient) -> None:
    for host in ("evil.example", "evil-n1.example.org", "n1.example.org.evil.example"):
        with pytest.raises(JsonError):
            sandbox_url(a_node(url="https://n1.example.org"), f"https://{host}/user/k/lab")
    node = nodes.add("n1", origin="https://evil.example")
    answer = claim(client, row(node))
    assert isinstance(answer, Failure)
    assert "not the node's own host" in answer.reason


def test_the_intent_is_put_with_generation_reason_and_name(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    asked = Node(
        "n1", node.url, token=node.token, intent="draining", intent_reason="disk", intent_by="ann", generation=7
    )
    assert client.put_state(asked) is None
    assert node.asked[-1].body == {"state": "draining", "generation": 7, "reason": "disk", "by": "ann"}
    assert (node.fleet_state, node.generation) == ("draining", 7)


def test_an_intent_that_is_not_taken_says_why(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1", accepts_state=False)
    assert client.put_state(row(node)) == Failure(FailureKind.PROTOCOL_ERROR, "it answered 500 to its new state")
    node.token = "another-token"
    asked = Node("n1", node.url, token="a-node-token-for-tests")
    assert client.put_state(asked) == Failure(FailureKind.PROTOCOL_ERROR, "it does not accept its token")
    nodes.die(node)
    assert client.put_state(asked) == Failure(FailureKind.REFUSED, "connection refused")


def test_a_token_is_tried_by_a_call_that_needs_it(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    assert client.token_works(node.url, node.token) is True
    assert client.token_works(node.url, "another-token") is False
    assert client.token_works(node.url, "") is False
    nodes.die(node)
    assert client.token_works(node.url, node.token) == Failure(FailureKind.REFUSED, "connection refused")


def test_several_visitors_get_their_sandboxes_by_one_call_each_with_their_own_path(
    nodes: FakeNodes, client: AgentClient
) -> None:
    node = nodes.add("n1", ready=2, capacity=9)
    requests = [ClaimRequest("a" * 24, "/lab/tree/a.ipynb"), ClaimRequest("b" * 24, "?x=1"), ClaimRequest("c" * 24)]
    first, second, third = client.claim(row(node), DEFAULT_POOL, requests)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert first.url.startswith(f"{node.url}/user/")
    assert first.url.endswith("/lab/tree/a.ipynb")
    assert second.url.endswith("/lab?x=1")
    assert third == Refusal("full", "none is ready")
    assert len(node.spawns()) == 1


@pytest.mark.parametrize("mood", ["hanging", "garbled", "endless", "failing", "mute"])
def test_a_bad_answer_to_several_is_a_failure_for_each(nodes: FakeNodes, client: AgentClient, mood: Mood) -> None:
    node = nodes.add("n1", mood=mood)
    answers = client.claim(row(node), DEFAULT_POOL, [ClaimRequest("a" * 24), ClaimRequest("b" * 24)])
    assert [type(answer) for answer in answers] == [Failure, Failure]


def test_a_refused_token_refuses_several(nodes: FakeNodes, client: AgentClient) -> None:
    node = nodes.add("n1")
    requests = [ClaimRequest("a" * 24), ClaimRequest("b" * 24)]
    answers = client.claim(row(node, token="wrong"), DEFAULT_POOL, requests)
    assert {answer.status for answer in answers if isinstance(answer, Refusal)} == {"forbidden"}
