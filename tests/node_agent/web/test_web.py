"""Tests of the agent's HTTP application, over real pools and a fake engine."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from node_agent.web import create_app
from node_agent.web.node import NodeContext
from tests.support.node_pools import Bench, one_bench
from tests.support.node_web import AUTH, TOKEN, make_node
from tests.support.wire_bytes import packed
from tmpnb_common.claims import ATTEMPTS_AT_ONCE, Claim, Refusal, parse_claim, parse_claims, parse_refusal
from tmpnb_common.keys import is_key
from tmpnb_common.wire import NodeStats, parse_stats

TICKET = "a-ticket-0123456789-0123456789"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench() as bench:
        bench.fill()
        yield bench


@pytest.fixture
def node(bench: Bench, tmp_path: Path) -> NodeContext:
    return make_node(bench, tmp_path)


@pytest.fixture
def client(node: NodeContext) -> FlaskClient:
    return create_app(node).test_client()


@pytest.fixture
def fleet_client(node: NodeContext) -> FlaskClient:
    return create_app(replace(node, fleet_only=True)).test_client()


def said(answer: TestResponse) -> Any:
    """The JSON of an answer."""
    return answer.json


def stats(client: FlaskClient) -> NodeStats:
    return parse_stats(packed(said(client.get("/stats"))))


# Stats


@pytest.mark.parametrize("path", ["/stats", "/api/stats", "/stats/", "/api/stats/"])
def test_stats_are_what_the_wire_format_says_in_all_places_of_tmpnb(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert list(said(answer))[:4] == ["available", "capacity", "version", "container_image"]
    read = parse_stats(packed(said(answer)))
    assert (read.available, read.capacity, read.claimed, read.name) == (3, 3, 0, "n1")
    assert (read.node_id, read.boot_id, read.version, read.container_image) == (
        "the-node",
        "this-boot",
        "1.2.3",
        "an-image",
    )
    assert read.pools["default"].available == 3


def test_each_answer_has_a_higher_number_than_the_one_before(client: FlaskClient) -> None:
    assert stats(client).seq < stats(client).seq


# Claims


def test_a_claim_gets_a_url_a_name_and_what_is_left(client: FlaskClient) -> None:
    answer = client.post("/api/spawn")
    assert answer.status_code == 200
    claim = parse_claim(packed(said(answer)))
    _, user, key, landing = claim.url.split("/")
    assert (user, landing) == ("user", "lab")
    assert is_key(key)
    assert claim.name == key[:8]
    assert claim.available == 2


@pytest.mark.parametrize("path", ["/lab/tree/Welcome.ipynb?reset", "/tree", "/files/a%20b%2Fc?x=..&y=%22", "/"])
def test_a_claim_keeps_the_path_asked_for(client: FlaskClient, path: str) -> None:
    url = said(client.post("/api/spawn", json={"path": path}))["url"]
    assert url[len("/user/") + 34 :] == path


def test_an_empty_path_is_the_pools_landing_page(client: FlaskClient) -> None:
    assert said(client.post("/api/spawn", json={"path": ""}))["url"].endswith("/lab")


@pytest.mark.parametrize(
    "path",
    [
        "lab",
        "//\n",
        "/a b",
        "/é",
        "/../x",
        "/a/%2e%2E/b",
        "/a/..",
        "/a/.%2e",
        "/a\\..\\b",
        "/a#b",
        '/a"b',
        "/files/%ff",
        "/" + "a" * 3500,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_and_takes_nothing(client: FlaskClient, path: str) -> None:
    answer = client.post("/api/spawn", json={"path": path})
    assert answer.status_code == 400
    assert said(answer)["status"] == "bad_request"
    assert stats(client).claims_total == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"\xff", b'"x"', b"[" * 60_000, b"plain words"])
def test_a_body_that_is_no_json_object_is_refused_and_takes_nothing(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/spawn", data=body)
    assert (answer.status_code, said(answer)["status"]) == (400, "bad_request")
    assert stats(client).claims_total == 0


def test_a_body_of_100_megabytes_is_refused_and_takes_nothing(client: FlaskClient) -> None:
    answer = client.post("/api/spawn", data=b" " * 100_000_000)
    assert (answer.status_code, said(answer)) == (413, {"status": "bad_request", "message": "the body is too large"})
    assert stats(client).claims_total == 0


@pytest.mark.parametrize("body", [{"path": 5}, {"pool": ["x"]}, {"pool": "x" * 64}, {"ticket": 5}, {"ticket": "short"}])
def test_a_field_of_the_wrong_type_is_refused_and_takes_nothing(client: FlaskClient, body: dict[str, object]) -> None:
    answer = client.post("/api/spawn", json=body, headers=AUTH)
    assert (answer.status_code, said(answer)["status"]) == (400, "bad_request")
    assert stats(client).claims_total == 0


def test_fields_that_are_not_known_are_ignored(client: FlaskClient) -> None:
    assert client.post("/api/spawn", json={"image": "x", "ticket": None}).status_code == 200


def test_a_full_node_says_full_with_a_time_to_come_back(client: FlaskClient) -> None:
    for _ in range(3):
        assert client.post("/api/spawn").status_code == 200
    answer = client.post("/api/spawn")
    assert parse_refusal(answer.status_code, packed(said(answer))).status == "full"
    assert int(answer.headers["Retry-After"]) > 0
    assert stats(client).refused_total == 1


def test_an_unknown_pool_is_a_404_that_says_so(client: FlaskClient) -> None:
    answer = client.post("/api/spawn", json={"pool": "gpu"})
    assert parse_refusal(answer.status_code, packed(said(answer))).status == "unknown_pool"


def test_a_ticket_repeats_a_claim_only_with_the_nodes_token(client: FlaskClient) -> None:
    names = {said(client.post("/api/spawn", json={"ticket": TICKET}, headers=AUTH))["name"] for _ in range(2)}
    assert len(names) == 1
    assert said(client.post("/api/spawn", json={"ticket": TICKET}))["name"] not in names


def test_a_node_of_a_fleet_serves_only_who_has_its_token(fleet_client: FlaskClient) -> None:
    answer = fleet_client.post("/api/spawn")
    assert parse_refusal(answer.status_code, packed(said(answer))).status == "forbidden"
    assert fleet_client.post("/api/spawn", headers={"Authorization": f"token {TOKEN}"}).status_code == 200
    assert fleet_client.get("/").status_code == 403
    assert stats(fleet_client).claims_total == 1


def test_a_disk_that_fails_is_a_503_that_readers_take_for_an_unwell_node(client: FlaskClient, bench: Bench) -> None:
    shutil.rmtree(bench.run_dir / "tickets")
    answer = client.post("/api/spawn")
    assert (answer.status_code, said(answer)["status"]) == (503, "unhealthy")
    assert said(answer)["message"] == "cannot hand out a sandbox: No such file or directory"


# The entry of a node that stands alone


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/", "/lab"),
        ("/?", "/lab"),
        ("/?reset&x=1", "/lab?reset&x=1"),
        ("/lab", "/lab"),
        ("/fresh/", "/lab"),
        ("/fresh/odd/app?x=1", "/odd/app?x=1"),
        ("/hub/user-redirect/git-pull?repo=x", "/git-pull?repo=x"),
        ("/voila/render/a%20b.ipynb", "/voila/render/a%20b.ipynb"),
        ("/course/1", "/course/1"),
        ("/lab/tree/Welcome.ipynb?reset", "/lab/tree/Welcome.ipynb?reset"),
        ("/notebooks/a%20b%C3%A4%2Fc.ipynb?x=%22", "/notebooks/a%20b%C3%A4%2Fc.ipynb?x=%22"),
        ("/files/a//x", "/files/a//x"),
        ('/files/a?x=\u00e4 "', "/files/a?x=%C3%A4%20%22"),
        ("/tree/", "/tree/"),
    ],
)
def test_a_landing_path_leads_into_a_sandbox_with_path_and_query_kept(
    client: FlaskClient, path: str, inside: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    assert is_key(answer.headers["Location"][len("/user/") :][:34])
    assert answer.headers["Location"][len("/user/") + 34 :] == inside


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/wp-login.php",
        "/laboratory",
        "/user",
        "/api",
        "/api/nothing",
        "/files//x",
        "/files/%2fx",
        "/fresh//x",
        "/fresh/%2fx",
    ],
)
def test_any_other_path_is_a_404_and_takes_nothing(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, said(answer)["status"]) == (404, "not_found")
    assert stats(client).claims_total == 0


@pytest.mark.parametrize(
    "path",
    ["/lab/../../etc", "/lab/%2e%2e/x", "/lab/a%2F%2E.", "/lab/%ff", "/lab/a%5cb", "/lab/a%00", "/lab/a%0d%0aX:y"],
)
def test_a_landing_path_that_makes_no_sense_takes_nothing_and_is_told_to_people_as_a_page(
    client: FlaskClient, path: str
) -> None:
    raw = {"RAW_URI": path}
    answer = client.get("/lab/x", environ_overrides=raw)
    assert (answer.status_code, said(answer)["status"]) == (400, "bad_request")
    page = client.get("/lab/x", environ_overrides=raw, headers={"Accept": "text/html"})
    assert "This address makes no sense here" in page.text
    assert stats(client).claims_total == 0


def test_head_and_options_and_prefetch_take_nothing(client: FlaskClient) -> None:
    assert client.head("/").status_code == 200
    assert client.options("/").status_code == 204
    assert client.options("/api/spawn").status_code == 204
    assert client.get("/", headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 503
    assert client.get("/", headers={"Purpose": "prefetch"}).status_code == 503
    assert stats(client).claims_total == 0


def test_a_part_of_a_page_takes_nothing(client: FlaskClient) -> None:
    for mode, destination in (("no-cors", "image"), ("no-cors", "style"), ("cors", "empty")):
        for site in ("same-origin", "same-site", "cross-site"):
            headers = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination, "Sec-Fetch-Site": site}
            assert client.get("/", headers=headers).status_code == 403
    assert stats(client).claims_total == 0


def test_in_a_frame_of_another_site_a_page_that_may_be_shown_comes_before_the_sandbox(client: FlaskClient) -> None:
    frame = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert client.get("/lab", headers=frame | {"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert stats(client).claims_total == 0
    assert client.get("/lab", headers=frame | {"Sec-Fetch-Site": "same-origin"}).status_code == 302


def test_a_full_node_shows_people_a_page_that_tries_again(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/")
    answer = client.get("/lab")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.mimetype == "text/html"
    assert 'http-equiv="refresh"' in answer.text
    assert "All notebooks are in use" in answer.text


def test_robots_stay_out(client: FlaskClient) -> None:
    answer = client.get("/robots.txt")
    assert "Disallow: /user/\n" in answer.text
    assert stats(client).claims_total == 0


# Control


CONTROL = [
    ("PUT", "/api/state"),
    ("GET", "/api/sandboxes"),
    ("GET", "/api/sandboxes/abcdefgh"),
    ("DELETE", "/api/sandboxes/abcdefgh"),
    ("PUT", "/api/say"),
    ("DELETE", "/api/pool"),
]


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_control_calls_without_the_token_are_forbidden_and_do_nothing(
    client: FlaskClient, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.open(path, method=method, json={"state": "draining"}, headers=headers)
    assert (answer.status_code, said(answer)["status"]) == (403, "forbidden")
    assert stats(client).state == "active"
    assert stats(client).available == 3


def test_a_wrong_token_is_refused_where_none_is_needed(client: FlaskClient) -> None:
    assert client.post("/api/spawn", headers={"Authorization": "Bearer wrong"}).status_code == 403


def test_the_nodes_own_operator_drains_and_resumes_it(client: FlaskClient) -> None:
    answer = client.put("/api/state", json={"state": "draining", "reason": "disk", "by": "ann"}, headers=AUTH)
    assert said(answer) == {"state": "draining", "generation": 0}
    assert (stats(client).state, stats(client).available) == ("draining", 0)
    refusal = client.post("/api/spawn")
    assert parse_refusal(refusal.status_code, packed(said(refusal))).status == "draining"
    assert said(client.put("/api/state", json={"state": "active"}, headers=AUTH))["state"] == "active"
    assert stats(client).available == 3


def test_the_fleets_intent_comes_with_a_generation_and_never_goes_back(client: FlaskClient) -> None:
    assert client.put("/api/state", json={"state": "draining", "generation": 5}, headers=AUTH).status_code == 200
    assert stats(client).generation == 5
    answer = client.put("/api/state", json={"state": "active", "generation": 4}, headers=AUTH)
    assert (answer.status_code, said(answer)["status"], said(answer)["generation"]) == (409, "stale_generation", 5)
    assert stats(client).state == "draining"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "asleep"},
        {"state": 1},
        {"state": "active", "generation": -1},
        {"state": "active", "generation": True},
        {"state": "active", "generation": "5"},
        {"state": "active", "reason": "x" * 1001},
        {"state": "active", "by": 5},
    ],
)
def test_an_intent_that_makes_no_sense_changes_nothing(client: FlaskClient, body: dict[str, object]) -> None:
    answer = client.put("/api/state", json=body, headers=AUTH)
    assert (answer.status_code, said(answer)["status"]) == (400, "bad_request")
    assert (stats(client).state, stats(client).generation) == ("active", 0)


def test_sandboxes_are_listed_by_name_and_never_by_key(client: FlaskClient, bench: Bench) -> None:
    name = said(client.post("/api/spawn"))["name"]
    answer = client.get("/api/sandboxes", headers=AUTH)
    states = {each["name"]: each["state"] for each in said(answer)["sandboxes"]}
    assert states[name] == "claimed"
    assert sorted(states.values()) == ["claimed", "ready", "ready"]
    one = client.get(f"/api/sandboxes/{name}", headers=AUTH)
    assert set(said(one)) >= {"name", "pool", "state", "created_at", "claimed_at", "last_activity"}
    for key in (sandbox.key for sandbox in bench.table.all()):
        assert key not in answer.text + one.text


def test_a_sandbox_is_ended_by_name(client: FlaskClient, bench: Bench) -> None:
    name = said(client.post("/api/spawn"))["name"]
    assert said(client.delete(f"/api/sandboxes/{name}", headers=AUTH)) == {"ended": name, "changed": True}
    bench.settle(lambda: client.get(f"/api/sandboxes/{name}", headers=AUTH).status_code == 404)


@pytest.mark.parametrize("name", ["neverwas", "..", "a%2Fb", "-f", "x" * 500])
def test_an_unknown_name_is_a_404(client: FlaskClient, name: str) -> None:
    answer = client.delete(f"/api/sandboxes/{name}", headers=AUTH)
    assert answer.status_code in (404, 405)
    assert set(said(answer)) == {"status", "message"}


def test_the_free_part_of_the_pool_is_drained_by_one_call(client: FlaskClient) -> None:
    client.post("/api/spawn")
    assert said(client.delete("/api/pool", headers=AUTH)) == {"drained": 2}
    assert stats(client).claimed == 1


def test_healthz_says_what_is_wrong(client: FlaskClient, bench: Bench) -> None:
    assert said(client.get("/healthz")) == {"status": "ok"}
    bench.engine.away = True
    bench.turn()
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert said(answer) == {"status": "unhealthy", "message": "the engine does not answer"}


def test_every_error_has_the_same_shape(client: FlaskClient) -> None:
    wrong = [
        ("GET", "/nothing"),
        ("POST", "/stats"),
        ("DELETE", "/"),
        ("GET", "/api/spawn"),
        ("PATCH", "/api/state"),
        *CONTROL,
    ]
    for method, path in wrong:
        answer = client.open(path, method=method)
        assert answer.status_code >= 400, (method, path)
        assert {"status", "message"} <= set(said(answer)), (method, path)
        assert "<" not in said(answer)["message"], (method, path)


def test_an_error_that_nobody_foresaw_shows_no_trace(node: NodeContext) -> None:
    def broken() -> str:
        raise ZeroDivisionError("a secret detail")

    app = create_app(replace(node, problem=broken))
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, said(answer)["status"]) == (500, "error")
    assert "secret detail" not in answer.text


def test_random_tokens_are_refused(client: FlaskClient) -> None:
    for _ in range(20):
        header = {"Authorization": f"Bearer {secrets.token_urlsafe(24)}"}
        assert client.get("/api/sandboxes", headers=header).status_code == 403


# Several tickets in one call


def several(client: FlaskClient, *tickets: str, **more: object) -> TestResponse:
    wishes = [{"ticket": ticket, "path": f"/lab/tree/{ticket[-1]}"} for ticket in tickets]
    return client.post("/api/spawn", json={"tickets": wishes, **more}, headers=AUTH)


def test_one_call_with_several_tickets_claims_a_sandbox_for_each_with_its_own_path(client: FlaskClient) -> None:
    tickets = [f"{TICKET}-{number}" for number in range(2)]
    first, second = parse_claims(packed(said(several(client, *tickets))), 2)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert first.name != second.name
    assert (first.url[-2:], second.url[-2:]) == ("/0", "/1")
    assert first.available == second.available == 1


def test_of_more_tickets_than_slots_the_last_are_refused_and_the_first_are_not(client: FlaskClient) -> None:
    outcomes = parse_claims(packed(said(several(client, *(f"{TICKET}-{number}" for number in range(5))))), 5)
    assert [isinstance(outcome, Claim) for outcome in outcomes] == [True, True, True, False, False]
    assert isinstance(outcomes[-1], Refusal)
    assert outcomes[-1].status == "full"


def test_a_call_with_several_tickets_can_be_repeated(client: FlaskClient) -> None:
    tickets = [f"{TICKET}-{number}" for number in range(2)]
    assert said(several(client, *tickets)) == said(several(client, *tickets))
    assert stats(client).claimed == 2


def test_an_unknown_pool_refuses_every_ticket(client: FlaskClient) -> None:
    (outcome,) = parse_claims(packed(said(several(client, TICKET, pool="gpu"))), 1)
    assert isinstance(outcome, Refusal)
    assert outcome.status == "unknown_pool"


@pytest.mark.parametrize(
    "odd", [1, None, {}, {"ticket": "short"}, {"ticket": TICKET, "path": "/../x"}, {"ticket": TICKET, "path": "/%ff"}]
)
def test_one_ticket_that_makes_no_sense_is_refused_and_the_others_are_not(client: FlaskClient, odd: object) -> None:
    wishes = [{"ticket": f"{TICKET}-0"}, odd, {"ticket": f"{TICKET}-1"}]
    answer = client.post("/api/spawn", json={"tickets": wishes}, headers=AUTH)
    first, second, third = parse_claims(packed(said(answer)), 3)
    assert isinstance(first, Claim)
    assert isinstance(second, Refusal)
    assert second.status == "bad_request"
    assert isinstance(third, Claim)
    assert stats(client).claimed == 2


@pytest.mark.parametrize("tickets", [[], "x", [{"ticket": TICKET}] * 17])
def test_what_is_no_list_of_tickets_is_refused_and_takes_nothing(client: FlaskClient, tickets: object) -> None:
    assert client.post("/api/spawn", json={"tickets": tickets}, headers=AUTH).status_code == 400
    assert stats(client).claimed == 0


def test_several_tickets_need_the_nodes_token(client: FlaskClient) -> None:
    assert client.post("/api/spawn", json={"tickets": [{"ticket": TICKET}]}).status_code == 403
    assert stats(client).claimed == 0


# Claims that nobody waits for any more


@pytest.mark.parametrize("together", [False, True])
def test_the_fleet_gives_up_a_claim_before_or_after_it_is_carried_out(client: FlaskClient, together: bool) -> None:
    early, late = "an-attempt-0123456789-early", "an-attempt-0123456789-late"

    def claim(attempt: str) -> str:
        wish = {"ticket": TICKET, "attempt": attempt}
        answer = said(client.post("/api/spawn", json={"tickets": [wish]} if together else wish, headers=AUTH))
        return str((answer["claims"][0] if together else answer).get("status", "claimed"))

    assert claim(early) == "claimed"
    answer = client.post("/api/abandon", json={"attempts": [early, late]}, headers=AUTH)
    assert (answer.status_code, said(answer)) == (200, {"released": 1})
    assert stats(client).claimed == 0
    assert claim(late) == "abandoned"
    assert (stats(client).available, stats(client).claimed) == (3, 0)


def test_an_attempt_counts_only_with_the_nodes_token(client: FlaskClient) -> None:
    attempt = "an-attempt-0123456789-0123456789"
    assert client.post("/api/spawn", json={"ticket": TICKET, "attempt": attempt}).status_code == 200
    assert client.post("/api/abandon", json={"attempts": [attempt]}).status_code == 403
    assert said(client.post("/api/abandon", json={"attempts": [attempt]}, headers=AUTH)) == {"released": 0}


@pytest.mark.parametrize(
    "attempts", [None, "x", [], {}, [7], ["short"], ["an-attempt-0123456789\n"], ["a" * 32] * (ATTEMPTS_AT_ONCE + 1)]
)
def test_a_call_that_names_no_attempts_is_refused(client: FlaskClient, attempts: object) -> None:
    answer = client.post("/api/abandon", json={"attempts": attempts}, headers=AUTH)
    assert (answer.status_code, said(answer)["status"]) == (400, "bad_request")
