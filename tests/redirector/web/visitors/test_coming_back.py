"""A visitor who comes again gets their own living sandbox back; their place in the queue likewise."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}


@pytest.fixture
def node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    node = nodes.add("n1")
    fleet.add(node)
    return node


def cookie_of(answer: TestResponse) -> str:
    return answer.headers.get("Set-Cookie", "")


def location(client: FlaskClient, path: str = "/", **options: Any) -> str:
    answer = client.get(path, headers=PERSON, **options)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def test_opening_the_entry_again_leads_to_the_same_sandbox_and_takes_nothing(
    fleet: SteppedWorker, node: FakeNode
) -> None:
    first = location(fleet.web)
    base = first.removesuffix("/lab")
    assert location(fleet.web) == f"{base}/"
    assert location(fleet.web, "/?x=1") == f"{base}/?x=1"
    assert location(fleet.web, "/lab/tree/Other.ipynb?reset") == f"{base}/lab/tree/Other.ipynb?reset"
    assert node.claimed == 1


def test_fresh_asks_for_a_new_one_and_the_word_stays_with_us(fleet: SteppedWorker, node: FakeNode) -> None:
    first = location(fleet.web)
    second = location(fleet.web, "/lab/tree/a.ipynb?fresh&x=1")
    assert second.split("/lab")[0] != first.split("/lab")[0]
    assert second.endswith("/lab/tree/a.ipynb?x=1")
    assert location(fleet.web, "/lab").split("/lab")[0] == second.split("/lab")[0]
    assert node.claimed == 2


def test_when_the_sandbox_is_gone_they_get_a_new_one(fleet: SteppedWorker, node: FakeNode) -> None:
    first = location(fleet.web)
    node.claims.clear()
    assert location(fleet.web) != first
    assert node.claimed == 2


def test_while_the_sandbox_ends_they_get_a_new_one_already(fleet: SteppedWorker, node: FakeNode) -> None:
    """However long its node cannot remove what is left of it."""
    first = location(fleet.web)
    node.cannot_end = True
    assert location(fleet.web).split("/lab")[0] != first.split("/lab")[0]
    assert node.claimed == 2


@pytest.mark.silence
def test_when_its_node_does_not_answer_they_get_a_new_one_elsewhere(
    nodes: FakeNodes, fleet: SteppedWorker, node: FakeNode
) -> None:
    first = location(fleet.web)
    other = nodes.add("n2")
    fleet.add(other)
    node.mood = "hanging"
    assert first.startswith(node.url)
    assert location(fleet.web).startswith(other.url)


def test_a_draining_node_keeps_those_who_are_at_home_there(fleet: SteppedWorker, node: FakeNode) -> None:
    first = location(fleet.web)
    fleet.admin("POST", f"/api/nodes/{node.name}/drain", json={"force": True})
    fleet.tick()
    assert location(fleet.web).startswith(first.removesuffix("/lab"))


def test_each_pool_has_a_sandbox_of_its_own_to_come_back_to(
    nodes: FakeNodes, fleet: SteppedWorker, node: FakeNode
) -> None:
    fleet.add(nodes.add("n2", ready=0, pools={"R": 3}))
    default, r = location(fleet.web), location(fleet.web, "/?pool=R")
    assert default.startswith(node.url)
    assert location(fleet.web, "/?pool=R") == r.removesuffix("lab")
    assert location(fleet.web) == default.removesuffix("lab")


def test_a_stranger_with_somebody_elses_address_gets_their_own(fleet: SteppedWorker, node: FakeNode) -> None:
    first = location(fleet.web)
    stranger = fleet.worker.app.test_client()
    shared = first.removeprefix(node.url).replace("/lab", "/lab/tree/Plot.ipynb")
    second = location(stranger, shared)
    assert second.endswith("/lab/tree/Plot.ipynb")
    assert second.split("/lab")[0] != first.split("/lab")[0]


def test_a_forged_cookie_leads_nowhere(fleet: SteppedWorker, node: FakeNode) -> None:
    location(fleet.web)
    cookie = fleet.web.get_cookie("tmpnb")
    assert cookie is not None
    fleet.web.set_cookie("tmpnb", f"x{cookie.value}")
    location(fleet.web)
    assert node.claimed == 2


@pytest.mark.usefixtures("node")
def test_in_plain_http_the_cookie_is_for_us_alone(fleet: SteppedWorker) -> None:
    cookie = cookie_of(fleet.visit())
    assert cookie.startswith("tmpnb=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


@pytest.mark.usefixtures("node")
def test_behind_tls_no_neighbour_can_set_it(fleet: SteppedWorker) -> None:
    client = fleet.worker.app.test_client()
    cookie = cookie_of(client.get("/", base_url="https://try.example.org"))
    assert cookie.startswith("__Host-tmpnb=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert "Partitioned" not in cookie


@pytest.mark.usefixtures("node")
def test_in_a_frame_on_another_site_it_is_partitioned(fleet: SteppedWorker) -> None:
    client = fleet.worker.app.test_client(use_cookies=False)
    framed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}
    shown = client.get("/", base_url="https://try.example.org", headers=framed)
    goes_on = framed | {"Sec-Fetch-Site": "same-origin", "Cookie": cookie_of(shown).partition(";")[0]}
    cookie = cookie_of(client.get("/", base_url="https://try.example.org", headers=goes_on))
    assert cookie.startswith("__Host-tmpnb=")
    assert {"Secure", "SameSite=None", "Partitioned"} <= set(cookie.split("; "))
    linked = cookie_of(
        client.get("/", base_url="https://try.example.org", headers=framed | {"Sec-Fetch-Dest": "document"})
    )
    assert "Partitioned" not in linked, "a link on another site opens us, it does not frame us"


def test_what_follows_in_the_frame_is_partitioned_too(fleet: SteppedWorker, node: FakeNode) -> None:
    node.ready = 0
    fleet.tick()
    client = fleet.worker.app.test_client()
    framed = PROGRAM | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}
    client.get("/", base_url="https://try.example.org", headers=framed)
    goes_on = framed | {"Sec-Fetch-Site": "same-origin"}
    waits = client.get("/", base_url="https://try.example.org", headers=goes_on).get_json()
    node.ready = 1
    fleet.tick()
    # The waiting room's script asks, from a page of our own as far as browsers tell.
    asks = PROGRAM | {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
    answer = client.get(waits["next"], base_url="https://try.example.org", headers=asks)
    assert "url" in answer.get_json()
    assert {"SameSite=None", "Partitioned"} <= set(cookie_of(answer).split("; "))


@pytest.mark.usefixtures("node")
def test_the_key_can_be_changed_without_forgetting_anybody(fleet: SteppedWorker) -> None:
    location(fleet.web)
    cookie = fleet.web.get_cookie("tmpnb")
    assert cookie is not None
    assert fleet.worker.sync_loop.signing_keys[0] not in cookie.value


def test_a_reload_keeps_the_place_and_a_second_tab_is_no_second_one(fleet: SteppedWorker, node: FakeNode) -> None:
    node.ready = 0
    fleet.tick()
    first = fleet.web.get("/lab/tree/a.ipynb", headers=PROGRAM).get_json()
    assert not first["keeps"], "nobody knows yet whether the cookie is accepted"
    second_tab = fleet.web.get("/lab/tree/b.ipynb", headers=PROGRAM).get_json()
    assert (second_tab["ticket"], second_tab["position"]) == (first["ticket"], 1)
    assert second_tab["keeps"]
    fleet.tick()
    assert fleet.worker.waiting_queue.queue.waiting("default") == 1
    node.ready = 1
    fleet.tick()
    a = fleet.web.get(first["next"], headers=PROGRAM).get_json()["url"]
    b = fleet.web.get(second_tab["next"], headers=PROGRAM).get_json()["url"]
    assert a.endswith("/lab/tree/a.ipynb")
    assert b.endswith("/lab/tree/b.ipynb")
    assert a.split("/lab")[0] == b.split("/lab")[0]
    assert location(fleet.web, "/lab").split("/lab")[0] == a.split("/lab")[0]


def test_without_cookies_the_address_keeps_the_place(fleet: SteppedWorker, node: FakeNode) -> None:
    node.ready = 0
    fleet.tick()
    client = fleet.worker.app.test_client(use_cookies=False)
    first = client.get("/", headers=PROGRAM).get_json()
    again = client.get(first["next"], headers=PROGRAM).get_json()
    assert (again["ticket"], again["keeps"]) == (first["ticket"], False)
    page = client.get(first["next"], headers=PERSON)
    assert page.status_code == 200
    assert first["ticket"] in page.text
    node.ready = 1
    fleet.tick()
    assert location(client, first["next"]).startswith(node.url)


def test_a_ticket_that_nobody_knows_any_more_is_followed_by_a_new_one(fleet: SteppedWorker, node: FakeNode) -> None:
    node.ready = 0
    fleet.tick()
    client = fleet.worker.app.test_client(use_cookies=False)
    answer = client.get(f"/wait/{'x' * 32}/lab/tree/a.ipynb?b=1", headers=PROGRAM).get_json()
    assert answer["ticket"] != "x" * 32
    assert answer["next"] == f"/wait/{answer['ticket']}/lab/tree/a.ipynb?b=1"
    node.ready = 2
    fleet.tick()
    assert client.get(f"/wait/{'y' * 32}/", headers=PERSON).status_code == 302


@pytest.mark.parametrize(
    "path", ["/wait/short", "/wait/" + "x" * 200, f"/wait/{'x' * 32}/nope", "/wait/x%2F..%2Fy/lab"]
)
def test_no_other_address_is_a_place(fleet: SteppedWorker, node: FakeNode, path: str) -> None:
    assert fleet.visit(path).status_code == 404
    assert node.spawns() == []
