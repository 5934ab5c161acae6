"""The waiting room as people without a script and programs meet it."""

from __future__ import annotations

import re

import pytest

from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BROWSER = PERSON | {"Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def full_node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    node = nodes.add("n1", ready=0)
    fleet.add(node)
    return node


@pytest.mark.usefixtures("full_node")
def test_the_page_says_where_one_stands_and_that_the_wait_is_unknown(fleet: SteppedWorker) -> None:
    fleet.worker.app.test_client(use_cookies=False).get("/", headers=PERSON)
    fleet.tick()
    page = fleet.visit(headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "(2) Waiting" in page.text
    assert shown(page.text, "unknown")
    assert not shown(page.text, "minutes")


def test_the_expected_wait_is_told_once_enough_have_been_let_in(fleet: SteppedWorker, full_node: FakeNode) -> None:
    client = fleet.worker.app.test_client(use_cookies=False)
    places = [client.get("/", headers={"Accept": "application/json"}).get_json() for _ in range(4)]
    full_node.ready = 3
    fleet.tick()
    for place in places[:3]:
        assert client.get(place["next"], headers={"Accept": "application/json"}).status_code == 200
    fleet.tick()
    page = client.get(places[3]["next"], headers=BROWSER)
    assert shown(page.text, "soon")
    assert not shown(page.text, "unknown")


def shown(page: str, case: str) -> bool:
    """Whether that line of the page is not hidden."""
    found = re.search(rf'data-case="{case}"( hidden)?>', page)
    assert found is not None, case
    return found[1] is None


@pytest.mark.usefixtures("full_node")
def test_an_old_browser_is_told_when_to_load_it_again_by_a_header(fleet: SteppedWorker) -> None:
    client = fleet.worker.app.test_client(use_cookies=False)
    page = client.get("/lab/tree/a.ipynb?x=1", headers=PERSON)
    seconds, _, address = page.headers["Refresh"].partition("; url=")
    assert int(seconds) >= 1
    assert re.fullmatch(r"/wait/[\w-]{32}/lab/tree/a\.ipynb\?x=1", address)
    assert client.get(address, headers=PERSON).status_code == 200


@pytest.mark.usefixtures("full_node")
def test_a_browser_of_today_without_scripts_finds_the_same_in_the_page(fleet: SteppedWorker) -> None:
    page = fleet.visit(headers=BROWSER)
    assert "Refresh" not in page.headers, "it would load the page again beside the script too"
    assert re.search(r'<noscript><meta http-equiv="refresh" content="1; url=/wait/[\w-]{32}/"></noscript>', page.text)


def test_a_page_that_is_loaded_again_every_few_seconds_keeps_its_place(
    fleet: SteppedWorker, full_node: FakeNode
) -> None:
    page = fleet.worker.app.test_client(use_cookies=False).get("/", headers=PERSON)
    seconds = int(page.headers["Refresh"].partition(";")[0])
    assert full_node.ready == 0
    with fleet.worker.database.reading() as connection:
        left = connection.exec_driver_sql(
            "SELECT live_until - (julianday('now') - 2440587.5) * 86400.0 FROM tickets"
        ).scalar_one()
    assert left > 2 * seconds - 1


@pytest.mark.usefixtures("full_node")
def test_the_api_gives_a_ticket_and_tells_how_it_stands(fleet: SteppedWorker) -> None:
    joined = fleet.web.post("/api/spawn", json={"wait": True, "path": "/tree"})
    assert joined.status_code == 202
    place = joined.get_json()
    assert place["position"] == 1
    assert int(joined.headers["Retry-After"]) >= 1
    asked = fleet.web.post("/api/spawn", json={"ticket": place["ticket"], "path": "/tree"})
    assert (asked.status_code, asked.get_json()["ticket"]) == (202, place["ticket"])


def test_with_its_ticket_a_program_gets_its_sandbox(fleet: SteppedWorker, full_node: FakeNode) -> None:
    ticket = fleet.web.post("/api/spawn", json={"wait": True}).get_json()["ticket"]
    full_node.ready = 1
    fleet.tick()
    answer = fleet.web.post("/api/spawn", json={"ticket": ticket, "path": "/tree?x=1"})
    assert answer.status_code == 200
    assert answer.get_json()["url"].startswith(f"{full_node.url}/user/")
    assert answer.get_json()["url"].endswith("/tree?x=1")


@pytest.mark.usefixtures("full_node")
def test_an_unknown_ticket_is_a_404_and_an_odd_one_a_400(fleet: SteppedWorker) -> None:
    unknown = fleet.web.post("/api/spawn", json={"ticket": "x" * 32})
    assert (unknown.status_code, unknown.get_json()["status"]) == (404, "unknown_ticket")
    odd = fleet.web.post("/api/spawn", json={"ticket": "a b"})
    assert (odd.status_code, odd.get_json()["status"]) == (400, "bad_request")


@pytest.mark.usefixtures("full_node")
def test_looking_at_a_place_in_the_queue_takes_none(fleet: SteppedWorker) -> None:
    place = f"/wait/{'x' * 32}/lab"
    assert fleet.web.head(place).status_code == 200
    assert fleet.visit(place, headers={"User-Agent": "Slackbot-LinkExpanding 1.0"}).status_code == 200
    assert fleet.visit(place, headers={"Sec-Purpose": "prefetch"}).status_code == 503
    fleet.tick()
    assert fleet.worker.waiting_queue.queue.waiting("default") == 0


def test_under_a_prefix_every_address_has_it(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=0))
    place = fleet.web.get("/", headers={"Accept": "application/json"}, base_url="http://example.org/try").get_json()
    assert place["next"].startswith("/try/wait/")
    page = fleet.web.get("/", headers=BROWSER, base_url="http://example.org/try")
    assert 'src="/try/static/waiting.js"' in page.text
