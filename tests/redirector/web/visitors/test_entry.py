"""The front door as a browser and a program meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.web.visitors.addresses import TAKEN
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_visitor_is_redirected_once_and_nothing_is_cached(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.visit()
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{node.url}/user/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/", "/lab"),
        ("/?x=1", "/lab?x=1"),
        ("/lab", "/lab"),
        ("/lab/", "/lab/"),
        ("/lab/tree/Welcome.ipynb?reset", "/lab/tree/Welcome.ipynb?reset"),
        ("/notebooks/a%20b.ipynb?one=1&two=a%20b", "/notebooks/a%20b.ipynb?one=1&two=a%20b"),
        ("/tree?x=%C3%A4", "/tree?x=%C3%A4"),
        ("/files/a//b", "/files/a//b"),
        ("/user/stale-key/lab/tree/Plot.ipynb?x", "/lab/tree/Plot.ipynb?x"),
    ],
)
def test_landing_paths_keep_path_and_query(nodes: FakeNodes, fleet: SteppedWorker, path: str, end: str) -> None:
    fleet.add(nodes.add("n1"))
    location = fleet.visit(path).headers["Location"]
    _, _, rest = location.partition("/user/")
    assert rest[rest.index("/") :] == end


@pytest.mark.parametrize(
    "path", ["/favicon.ico", "/nope", "/labyrinth", "/user", "/api/nothing", "/files//a", "/lab/../x"]
)
def test_any_other_path_is_a_404_and_takes_nothing(nodes: FakeNodes, fleet: SteppedWorker, path: str) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.visit(path).status_code == 404
    assert node.spawns() == []


@pytest.mark.parametrize("path", ["/", "/lab/tree/a.ipynb", "/user/key/lab"])
def test_a_head_request_is_answered_and_takes_nothing(nodes: FakeNodes, fleet: SteppedWorker, path: str) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.web.head(path).status_code == 200
    assert fleet.web.head("/nope").status_code == 404
    assert node.spawns() == []


@pytest.mark.parametrize(
    "header", [("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"), ("X-Moz", "prefetch")]
)
def test_a_prefetch_takes_nothing(nodes: FakeNodes, fleet: SteppedWorker, header: tuple[str, str]) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.visit(headers=dict([header]))
    assert answer.status_code == 503
    assert answer.headers["Cache-Control"] == "no-store"
    assert node.spawns() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_take_nothing(nodes: FakeNodes, fleet: SteppedWorker, method: str) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.web.open("/lab", method=method).status_code == 405
    assert node.spawns() == []


def test_while_something_starts_a_page_goes_on_by_itself(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0, starting=1)
    fleet.add(node)
    answer = fleet.visit(headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "on its way" in answer.text
    node.ready, node.starting = 1, 0
    fleet.tick()
    assert fleet.visit(headers=BROWSER).status_code == 302


def test_without_a_waiting_room_a_full_fleet_says_so_and_when_to_come_back(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_WAITING_LIMIT="0") as fleet:
        fleet.add(nodes.add("n1", ready=0))
        answer = fleet.visit(headers=BROWSER)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Refresh"] == answer.headers["Retry-After"]
        assert "in use" in answer.text


def test_trouble_is_not_called_full(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    nodes.die(node)
    answer = fleet.visit(headers=BROWSER)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert '<h1 data-case="trouble">' in answer.text
    assert '<h1 data-case="full" hidden>' in answer.text


def test_pages_are_small_frameless_and_ask_no_third_party(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=0))
    answer = fleet.visit(headers=BROWSER)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text.replace("http-equiv", "")
    assert "https://" not in answer.text
    with fleet.visit("/static/style/pages.css") as style:
        assert style.status_code == 200
        assert len(answer.data) + len(style.data) < 30_000


def test_a_pool_is_chosen_by_the_entry_url(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", pools={"gpu": 1})
    fleet.add(node)
    answer = fleet.visit("/?pool=gpu&x=1")
    assert answer.headers["Location"].endswith("/lab?x=1")
    assert node.spawns()[0].body["pool"] == "gpu"
    assert fleet.visit("/?pool=tpu", headers=BROWSER).status_code == 404


def test_a_visitor_whose_wish_makes_no_sense_is_told_so_and_takes_nothing(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", puzzled_by="odd")
    fleet.add(node)
    page = fleet.visit("/lab/odd", headers=BROWSER)
    assert (page.status_code, page.content_type) == (400, "text/html; charset=utf-8")
    assert "No notebook can be opened at this address." in page.text
    program = fleet.web.post("/api/spawn", json={"path": "/lab/odd", "wait": True})
    assert (program.status_code, program.get_json()["status"]) == (400, "bad_request")
    assert node.claimed == 0
    fleet.tick()
    assert fleet.seen(node).reason == ""
    assert fleet.visit("/lab").status_code == 302


@pytest.mark.parametrize(
    ("query", "sent_on"),
    [
        (b"x=\xc3\xa4", "x=%C3%A4"),
        (b'x="<b>\\', "x=%22%3Cb%3E%5C"),
        (b"x=a b&y=%ff", "x=a%20b&y=%ff"),
        (b"x=\r\nSet-Cookie:y", "x=%0D%0ASet-Cookie:y"),
    ],
)
def test_what_no_address_may_hold_is_encoded_in_a_query(
    nodes: FakeNodes, fleet: SteppedWorker, query: bytes, sent_on: str
) -> None:
    fleet.add(nodes.add("n1"))
    raw = {"QUERY_STRING": query.decode("latin-1")}
    answer = fleet.visit("/lab", environ_overrides=raw)
    assert answer.headers["Location"].endswith(f"/lab?{sent_on}")


def test_an_absurdly_long_path_is_a_clear_answer_and_takes_nothing(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.visit("/lab/" + "a" * 5000).status_code == 414
    assert fleet.visit("/?" + "a" * 5000).status_code == 414
    assert node.spawns() == []


def test_a_person_gets_a_page_for_a_404_and_a_program_json(fleet: SteppedWorker) -> None:
    page = fleet.visit("/nope", headers=BROWSER)
    assert page.content_type.startswith("text/html")
    assert "There is nothing at this address" in page.text
    assert 'href="/"' in page.text
    assert fleet.visit("/nope").get_json() == {"status": "not_found", "message": "There is nothing at this address."}


def test_robots_are_asked_to_stay_away(fleet: SteppedWorker) -> None:
    assert fleet.visit("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_the_entry_knows_where_its_nodes_let_visitors_in(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", landing_prefixes=["course", "api", "dashboard"])
    assert fleet.visit("/course/1").status_code == 404
    fleet.add(node)
    assert fleet.visit("/course/1?x=1").headers["Location"].endswith("/course/1?x=1")
    assert fleet.visit("/courses").status_code == 404
    assert fleet.visit("/api/nodes").status_code == 401, "what is the redirector's own stays so"
    assert fleet.visit("/api/nothing").status_code == 404
    assert fleet.visit("/dashboard/nothing").status_code == 404
    assert len(node.spawns()) == 1


def test_every_path_of_the_redirectors_own_is_kept_from_visitors(fleet: SteppedWorker) -> None:
    rules = [rule for rule in fleet.worker.app.url_map.iter_rules() if rule.endpoint != "entry.enter"]
    # Of these two some addresses are ours, and others lead into a sandbox.
    shared = {"hub", "git-pull"}
    assert {rule.rule.split("/")[1] for rule in rules} <= set(TAKEN) | shared


def test_a_place_that_only_a_former_sandbox_had_is_waited_for_as_well(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0, claimed=5)
    fleet.add(node)
    room = fleet.visit("/user/abc/odd/app?x=1", headers={"Accept": "application/json"}).get_json()
    node.ready, node.claimed = 5, 0
    fleet.tick(2)
    answer = fleet.visit(room["next"], headers={"Accept": "application/json"})
    assert answer.get_json()["url"].endswith("/odd/app?x=1")


PARTS = [
    {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination, "Sec-Fetch-Site": site}
    for mode, destination in (("no-cors", "image"), ("no-cors", "style"), ("cors", "empty"), ("same-origin", "empty"))
    for site in ("cross-site", "same-site")
]
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-site"}


@pytest.mark.parametrize("path", ["/", "/lab", "/fresh/static/style.css", f"/wait/{'t' * 22}/lab"])
@pytest.mark.parametrize("headers", PARTS)
def test_a_part_of_a_page_takes_nothing_and_is_led_nowhere(
    nodes: FakeNodes, fleet: SteppedWorker, path: str, headers: dict[str, str]
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    fleet.visit("/lab")  # the browser has a sandbox that it could be led back to
    taken = len(node.spawns())
    answer = fleet.visit(path, headers=headers)
    assert answer.status_code == 403
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert len(node.spawns()) == taken


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/lab", f"/wait/{'t' * 22}/lab"])
def test_in_a_frame_a_page_that_may_be_shown_comes_before_the_sandbox(
    nodes: FakeNodes, fleet: SteppedWorker, path: str, method: str
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.web.open(path, method=method, headers=FRAME, data={"person": "1"} if method == "POST" else None)
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert node.spawns() == []

    shown = fleet.visit(path, headers=FRAME | {"Sec-Fetch-Site": "same-origin"})
    assert shown.status_code == 302
    assert len(node.spawns()) == 1
