"""The dashboard's server side: who gets in, what changes something, and what the page is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from redirector.web.dashboard.session import SESSION_SECONDS, opened, session_of
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker

TOKENS = ("first-token-of-two", "second-token-of-two")


def log_in(fleet: SteppedWorker, operator: str = "ann", base: str = "http://localhost") -> str:
    """Log in, and return what changes have to bring along."""
    form = {"token": ADMIN_TOKEN, "operator": operator}
    answer = fleet.web.post("/dashboard/login", data=form, base_url=base)
    assert answer.status_code == 303
    page = fleet.web.get("/dashboard", base_url=base).text
    return page.split('name="csrf" content="')[1].split('"')[0]


def act(fleet: SteppedWorker, csrf: str, path: str, **body: object) -> tuple[int, dict[str, object]]:
    headers = {"X-CSRF-Token": csrf}
    answer = fleet.web.post(f"/dashboard/nodes/{path}", json=body, headers=headers)
    return answer.status_code, dict(answer.get_json())


@pytest.fixture
def two(fleet: SteppedWorker, nodes: FakeNodes) -> SteppedWorker:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    return fleet


def test_a_session_is_worth_nothing_after_its_hours() -> None:
    cookie = opened(TOKENS[0], "ann", 1000.0, "nonce")
    assert session_of(cookie, TOKENS, 1000.0 + SESSION_SECONDS - 1) is not None
    assert session_of(cookie, TOKENS, 1000.0 + SESSION_SECONDS) is None


def test_a_session_ends_with_the_token_that_opened_it() -> None:
    cookie = opened(TOKENS[1], "ann", 1000.0, "nonce")
    found = session_of(cookie, TOKENS, 1001.0)
    assert found is not None
    assert found.operator == "ann"
    assert session_of(cookie, ("a-new-token-entirely", TOKENS[0]), 1001.0) is None


@pytest.mark.parametrize("spoil", [0, 5, 14, -1])
def test_a_cookie_that_was_changed_anywhere_is_refused(spoil: int) -> None:
    cookie = opened(TOKENS[0], "ann", 1000.0, "nonce")
    letter = "0" if cookie[spoil] != "0" else "1"
    changed = cookie[:spoil] + letter + (cookie[spoil + 1 :] if spoil != -1 else "")
    assert session_of(changed, TOKENS, 1001.0) is None


@pytest.mark.parametrize("cookie", ["", ".", "...", "1.2.3.4", "\xff" * 10, "a" * 5000, "1e9.x.y.z"])
def test_a_made_up_cookie_is_refused(cookie: str) -> None:
    assert session_of(cookie, TOKENS, 0.0) is None


def test_what_a_change_brings_along_differs_from_session_to_session() -> None:
    cookies = [opened(TOKENS[0], "ann", 1000.0, nonce) for nonce in ("one", "two")]
    found = [session_of(cookie, TOKENS, 1001.0) for cookie in cookies]
    assert len({session.csrf for session in found if session}) == 2
    assert all(session.csrf not in cookie for session, cookie in zip(found, cookies, strict=True) if session)


def test_without_a_session_there_is_a_form_and_no_numbers(two: SteppedWorker) -> None:
    page = two.web.get("/dashboard")
    assert page.status_code == 200
    assert 'type="password"' in page.text
    assert "n1" not in page.text
    assert two.web.get("/dashboard/fleet.json").status_code == 401


def test_a_wrong_token_opens_nothing_and_is_not_repeated(two: SteppedWorker, caplog: pytest.LogCaptureFixture) -> None:
    answer = two.web.post("/dashboard/login", data={"token": "hunter2-hunter2-hunter2"})
    assert answer.status_code == 403
    assert "does not open the dashboard" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert "hunter2" not in answer.text + caplog.text
    assert "wrong token" in caplog.text


def test_the_cookie_is_for_this_page_alone(two: SteppedWorker) -> None:
    plain = two.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}).headers["Set-Cookie"]
    assert all(part in plain for part in ("HttpOnly", "SameSite=Strict", "Path=/dashboard"))
    secure = two.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}, base_url="https://localhost")
    assert secure.headers["Set-Cookie"].startswith("__Host-")
    assert "Secure" in secure.headers["Set-Cookie"]
    assert ADMIN_TOKEN not in plain


def test_the_page_allows_no_frame_no_foreign_script_and_no_store(two: SteppedWorker) -> None:
    headers = two.web.get("/dashboard").headers
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]


def test_a_name_that_looks_like_html_stays_a_name(two: SteppedWorker) -> None:
    log_in(two, "<script>alert(1)</script>")
    assert "<script>alert" not in two.web.get("/dashboard").text


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example.org"}],
    ids=str,
)
def test_nothing_is_taken_from_another_site(two: SteppedWorker, headers: dict[str, str]) -> None:
    csrf = log_in(two)
    drain = two.web.post("/dashboard/nodes/n1/drain", json={}, headers={"X-CSRF-Token": csrf, **headers})
    assert drain.status_code == 403
    assert two.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}, headers=headers).status_code == 403
    assert two.worker.registry.all()["n1"].intent == "active"


@pytest.mark.parametrize("csrf", ["", "wrong", "0" * 64, "ä"])
def test_a_change_without_the_pages_own_token_is_refused(two: SteppedWorker, csrf: str) -> None:
    log_in(two)
    headers = {"X-CSRF-Token": csrf.encode().decode("latin-1")}
    assert two.web.post("/dashboard/nodes/n1/drain", json={}, headers=headers).status_code == 403
    assert two.worker.registry.all()["n1"].intent == "active"


def test_a_change_without_a_session_is_refused(two: SteppedWorker) -> None:
    csrf = log_in(two)
    stranger: FlaskClient = two.worker.app.test_client()
    answer = stranger.post("/dashboard/nodes/n1/drain", json={}, headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 401
    assert two.worker.registry.all()["n1"].intent == "active"


def test_logging_out_takes_the_session_from_the_browser(two: SteppedWorker) -> None:
    log_in(two)
    assert two.web.post("/dashboard/logout").status_code == 303
    assert two.web.get("/dashboard/fleet.json").status_code == 401


def test_a_drain_from_the_page_is_in_the_history_with_name_and_reason(two: SteppedWorker) -> None:
    csrf = log_in(two, "ann")
    assert act(two, csrf, "n1/drain", reason="new kernel") == (200, {"changed": True})
    assert act(two, csrf, "n1/drain") == (200, {"changed": False})
    event = two.web.get("/dashboard/fleet.json").get_json()["events"][0]
    assert (event["kind"], event["node"], event["by"], event["reason"]) == ("drain", "n1", "ann", "new kernel")
    assert act(two, csrf, "n1/resume") == (200, {"changed": True})


def test_the_page_has_the_same_guards_as_the_command_line(two: SteppedWorker) -> None:
    csrf = log_in(two)
    act(two, csrf, "n1/drain")
    status, refusal = act(two, csrf, "n2/drain")
    assert (status, refusal["status"]) == (409, "last_node")
    assert act(two, csrf, "n2/drain", force=True)[0] == 200


def test_of_two_operators_the_one_who_saw_an_old_card_is_told(two: SteppedWorker) -> None:
    csrf = log_in(two)
    two.tick()
    (card, *_) = two.web.get("/dashboard/fleet.json").get_json()["nodes"]
    assert two.admin("POST", "/api/nodes/n1/drain").status_code == 200
    status, refusal = act(two, csrf, "n1/resume", version=str(card["version"]))
    assert (status, refusal["status"]) == (412, "changed")


@pytest.mark.parametrize(("path", "status"), [("nobody/drain", 404), ("n1/explode", 404)])
def test_what_is_unknown_is_a_plain_error(two: SteppedWorker, path: str, status: int) -> None:
    csrf = log_in(two)
    answered, body = act(two, csrf, path)
    assert answered == status
    assert body["message"]


def test_a_card_shows_every_slot_by_its_use(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", capacity=9, ready=3, starting=1, claimed=2), nodes.add("n2"))
    csrf = log_in(fleet)
    first = fleet.web.get("/dashboard/fleet.json").get_json()["nodes"][0]
    assert first["slots"] == {"claimed": 2, "ready": 3, "starting": 1, "ending": 0, "draining": 0, "free": 3}
    act(fleet, csrf, "n1/drain")
    fleet.tick()
    draining = fleet.web.get("/dashboard/fleet.json").get_json()["nodes"][0]
    assert draining["slots"] == {"claimed": 2, "ready": 0, "starting": 1, "ending": 0, "draining": 6, "free": 0}
    assert draining["state"] == "draining"


def test_the_slots_of_a_node_that_is_down_are_unknown(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    n1 = nodes.add("n1")
    fleet.add(n1, nodes.add("n2"))
    log_in(fleet)
    nodes.die(n1)
    fleet.tick(4)
    card = fleet.web.get("/dashboard/fleet.json").get_json()["nodes"][0]
    assert card["state"] == "down"
    assert card["slots"] == {"unknown": 5}


def test_the_charts_show_who_came_who_was_placed_and_who_was_turned_away(two: SteppedWorker) -> None:
    log_in(two)
    for _ in range(3):
        two.place()
    two.worker.sync_loop.tick()
    charts = two.web.get("/dashboard/fleet.json").get_json()["charts"]
    assert {name: (len(values), sum(values)) for name, values in charts.items()} == {
        "came": (60, 3),
        "placed": (60, 3),
        "turned_away": (60, 0),
    }


def test_no_token_and_no_key_of_a_node_is_in_what_the_page_gets(two: SteppedWorker) -> None:
    log_in(two)
    text = two.web.get("/dashboard/fleet.json").text
    assert ADMIN_TOKEN not in text
    assert "a-node-token-for-tests" not in text


def test_with_the_database_away_the_page_shows_what_this_worker_knows(two: SteppedWorker) -> None:
    log_in(two)
    for file in two.settings.state.glob("fleet.db*"):
        file.rename(file.with_suffix(".away" + file.suffix))
    two.settings.state.joinpath("fleet.db").mkdir()
    two.worker.database.close()
    snapshot = two.web.get("/dashboard/fleet.json").get_json()
    assert [card["name"] for card in snapshot["nodes"]] == ["n1", "n2"]
    assert "database" in snapshot["fleet"]["alarms"][0]


def test_without_an_admin_token_there_is_no_dashboard(tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_ADMIN_TOKEN="") as fleet:
        assert fleet.web.get("/dashboard").status_code == 503
        assert fleet.web.post("/dashboard/login", data={"token": ""}).status_code == 503
