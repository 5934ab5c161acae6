"""Links to contents as browsers and programs follow them: the sandbox, its files, and pages that wait for both."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from redirector.model.content import Content, ContentPattern, FetchedBlob
from redirector.model.events import Event
from redirector.model.sources import parse_source
from redirector.store.blob_rows import BlobRows
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.database import Database
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PHONE = {**BROWSER, "Sec-CH-UA-Mobile": "?1"}
PROGRAM = {"Accept": "application/json"}
DIGEST = "d" * 64
NEXT_DIGEST = "e" * 64
ADDED = Event(0.0, "content_added", by="ann")
SOURCE = "gh:org/course"


class Links:
    """The fleet's contents, as an operator and the worker change them."""

    def __init__(self, fleet: SteppedWorker) -> None:
        self.fleet = fleet
        self.database = Database(fleet.settings.database_url)
        self.contents = Contents(self.database)

    def add(self, name: str = "spring", digest: str = DIGEST, **fields: object) -> None:
        self.contents.add(Content(name, f"{SOURCE}-{name}", **fields), ADDED)  # type: ignore[arg-type]
        if digest:
            self.fetched(name, digest)
        self.fleet.worker.sync_loop.tick()

    def fetched(self, name: str, digest: str) -> None:
        self.contents.fetched(self.contents.all()[name], FetchedBlob(digest, "c0ffee", 10, 1))
        self.fleet.worker.sync_loop.tick()

    def failed(self, name: str, problem: str) -> None:
        self.contents.failed(self.contents.all()[name], problem)
        self.fleet.worker.sync_loop.tick()

    def allow(self, pattern: str, pool: str = "default") -> None:
        ContentPatterns(self.database).allow(ContentPattern(pattern, pool), ADDED)
        self.fleet.worker.sync_loop.tick()

    def get(self, path: str, headers: dict[str, str] | None = None) -> TestResponse:
        return self.fleet.web.get(path, headers=BROWSER if headers is None else headers)


@pytest.fixture
def links(fleet: SteppedWorker) -> Links:
    return Links(fleet)


@pytest.fixture
def node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    node = nodes.add("n1", blobs={DIGEST, NEXT_DIGEST})
    fleet.add(node)
    return node


def following(answer: TestResponse) -> str:
    """Where the page goes on by itself."""
    found = re.search(r'http-equiv="refresh" content="\d+; url=([^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


def end(answer: TestResponse) -> str:
    """The path inside the sandbox to which a visitor is led."""
    assert answer.status_code == 302, answer.text
    _, _, rest = answer.headers["Location"].partition("/user/")
    return rest[rest.index("/") :]


@pytest.mark.parametrize(
    ("page", "path", "inside"),
    [
        ("", "/c/spring", "/lab"),
        ("a.ipynb", "/c/spring", "/lab/tree/a.ipynb"),
        ("a.ipynb", "/c/spring/", "/lab/tree/a.ipynb"),
        ("a.ipynb", "/c/spring/b.ipynb", "/lab/tree/b.ipynb"),
        ("", "/c/spring/Lektion 1/Übung.ipynb", "/lab/tree/" + quote("Lektion 1/Übung.ipynb")),
    ],
)
def test_a_link_opens_a_sandbox_with_its_files(node: FakeNode, links: Links, page: str, path: str, inside: str) -> None:
    links.add(page=page)
    assert end(links.get(path)) == inside
    [ticket] = node.filled
    assert node.wished == {ticket: DIGEST}


def test_whoever_follows_it_again_comes_back_and_another_content_is_another_sandbox(
    node: FakeNode, links: Links
) -> None:
    links.add()
    links.add("autumn", NEXT_DIGEST)
    first = links.get("/c/spring/a.ipynb").headers["Location"]
    again = links.get("/c/spring/b.ipynb").headers["Location"]
    assert again == first.replace("a.ipynb", "b.ipynb")
    assert links.get("/c/autumn").headers["Location"].partition("/lab")[0] != first.partition("/lab")[0]
    assert links.get("/").headers["Location"].partition("/lab")[0] != first.partition("/lab")[0]
    assert len(node.claims) == 3
    assert links.get("/c/spring?fresh").headers["Location"].partition("/lab")[0] != first.partition("/lab")[0]


def test_a_new_commit_is_for_new_sandboxes(node: FakeNode, links: Links) -> None:
    links.add()
    links.get("/c/spring")
    links.fetched("spring", NEXT_DIGEST)
    links.get("/c/spring?fresh")
    assert list(node.wished.values()) == [DIGEST, NEXT_DIGEST]


def test_nothing_is_taken_before_there_is_anything_to_open(node: FakeNode, links: Links) -> None:
    links.add(digest="")
    answer = links.get("/c/spring/a.ipynb")
    assert (answer.status_code, following(answer)) == (200, "/c/spring/a.ipynb")
    assert "fetched" in answer.text
    said = links.get("/c/spring", PROGRAM)
    assert (said.status_code, said.json["status"], said.json["next"]) == (202, "fetching", "/c/spring")  # type: ignore[index]
    assert node.claims == {}
    links.failed("spring", "the forge is away")
    answer = links.get("/c/spring")
    assert (answer.status_code, "the forge is away" in answer.text) == (503, True)
    assert links.get("/c/spring", PROGRAM).json["status"] == "content_failed"  # type: ignore[index]
    links.fetched("spring", DIGEST)
    links.failed("spring", "the forge is away again")
    assert end(links.get("/c/spring")) == "/lab"


@pytest.mark.parametrize("state", ["running", "missing"])
def test_files_that_take_long_are_waited_for_on_a_page_and_cost_no_second_sandbox(
    node: FakeNode, links: Links, state: str
) -> None:
    links.add(page="a.ipynb")
    node.fill_states = [{"state": state, "message": ""}] * 2
    answer = links.get("/c/spring")
    assert answer.status_code == 200
    page = following(answer)
    # Whoever reloads the link itself, or presses it twice, has a cookie.
    assert following(links.get("/c/spring")) == "/c/spring"
    assert end(links.get(page)) == "/lab/tree/a.ipynb"
    assert len(node.claims) == 1
    wanted = [(row.node, row.digest) for row in BlobRows(links.database).wanted()]
    assert wanted == ([("n1", DIGEST)] if state == "missing" else [])


def test_a_visitor_without_cookies_keeps_their_sandbox(node: FakeNode, links: Links) -> None:
    links.add()
    node.fill_states = [{"state": "running", "message": ""}] * 2
    web = links.fleet.worker.app.test_client(use_cookies=False)
    page = following(web.get("/c/spring", headers=BROWSER))
    assert following(web.get(page, headers=BROWSER)) == page
    assert end(web.get(page, headers=BROWSER)) == "/lab"
    assert len(node.claims) == 1
    assert next(iter(node.claims)) not in page


def test_a_page_that_was_made_up_leads_to_the_link(node: FakeNode, links: Links) -> None:
    links.add()
    for made_up in ("a.b.c", "x" * 3000 + ".y", "W10.aaaa.bbbb"):
        answer = links.get(f"/wait/{made_up}/c/spring/a.ipynb")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/c/spring/a.ipynb")
    assert node.claims == {}


def test_files_that_do_not_come_are_said_and_the_notebook_opens_without_them(node: FakeNode, links: Links) -> None:
    links.add()
    node.fill_states = [{"state": "failed", "message": "the home is full"}] * 9
    answer = links.get("/c/spring")
    assert (answer.status_code, "the home is full" in answer.text) == (502, True)
    onward = re.search(r'class="button" href="([^"]+)"', answer.text)
    assert onward is not None
    assert end(links.get(onward[1])) == "/lab"
    assert len(node.claims) == 1


def test_a_sandbox_that_ended_meanwhile_is_followed_by_another(node: FakeNode, links: Links) -> None:
    links.add()
    node.fill_states = [{"state": "running", "message": ""}]
    page = following(links.get("/c/spring"))
    node.claims.clear()
    node.attempts.clear()
    node.ready = 0
    assert "url=" in links.get(page).text
    node.ready = 3
    links.fleet.tick()
    answer = links.get("/c/spring")
    assert answer.status_code == 302


def test_a_full_fleet_has_a_waiting_room_for_links_too(node: FakeNode, links: Links) -> None:
    links.add(page="a b.ipynb")
    node.ready = 0
    links.fleet.tick()
    answer = links.get("/c/spring/Ü.ipynb")
    found = re.search(r'data-next="([^"]+)"', answer.text)
    assert found is not None
    assert found[1].endswith("/c/spring/%C3%9C.ipynb")
    node.ready = 2
    links.fleet.tick(2)
    assert end(links.get(found[1])) == "/lab/tree/%C3%9C.ipynb"
    assert list(node.wished.values()) == [DIGEST]


def test_nodes_that_take_no_contents_are_not_asked(nodes: FakeNodes, fleet: SteppedWorker, links: Links) -> None:
    old, able = nodes.add("old", holds_content=False, ready=50), nodes.add("able", ready=1, blobs={DIGEST})
    tmpnb = nodes.add("tmpnb", protocol=0, ready=50)
    fleet.add(old, tmpnb, able)
    links.add()
    assert links.get("/c/spring").headers["Location"].startswith(able.url)
    assert old.claims == tmpnb.claims == {}
    able.holds_content = False
    fleet.tick()
    answer = links.get("/c/spring?fresh")
    assert (answer.status_code, "takes files" in answer.text) == (503, True)
    assert links.get("/c/spring?fresh", PROGRAM).json["status"] == "no_content_nodes"  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/c/nope", "unknown_content"),
        ("/c/UPPER", "unknown_content"),
        ("/c/~0123456789abcdef0123", "unknown_content"),
        ("/c/gh:org/other", "content_not_allowed"),
        ("/c/gh:org/other@-f", "content_not_allowed"),
        ("/c/dir:/etc/-/passwd", "content_not_allowed"),
        ("/c/https:%2F%2F169.254.169.254%2Fx.zip", "content_not_allowed"),
    ],
)
def test_what_is_not_there_or_not_allowed_is_one_sentence_and_takes_nothing(
    node: FakeNode, links: Links, path: str, code: str
) -> None:
    answer = links.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    said = links.get(path, PROGRAM)
    assert (said.status_code, said.json["status"]) == (404, code)  # type: ignore[index]
    assert node.claims == {}
    assert links.contents.all() == {}


@pytest.mark.parametrize("path", ["/c", "/c/", "/c/spring/../x", "/c/spring/a\\b", "/c/spring/%00"])
def test_addresses_that_make_no_sense_take_nothing(node: FakeNode, links: Links, path: str) -> None:
    links.add()
    assert links.get(path).status_code == 404
    assert node.claims == {}


def test_an_allowed_source_is_fetched_and_opened_in_its_pool(
    nodes: FakeNodes, fleet: SteppedWorker, links: Links
) -> None:
    node = nodes.add("n1", pools={"r": 2}, blobs={DIGEST})
    fleet.add(node)
    links.allow("gh:org/*", "r")
    answer = links.get("/c/gh:org/course@main/-/sub/a.ipynb")
    assert following(answer) == "/c/gh:org/course@main/-/sub/a.ipynb"
    [content] = links.contents.all().values()
    assert (content.source, content.pool, content.named, content.wanted_at > 0) == (
        "gh:org/course@main",
        "r",
        False,
        True,
    )
    links.fetched(content.name, DIGEST)
    assert end(links.get("/c/gh:org/course@main/-/sub/a.ipynb")) == "/lab/tree/sub/a.ipynb"
    assert (node.pools["r"], node.filled != []) == (1, True)
    assert len(links.contents.all()) == 1


def test_bots_frames_and_prefetches_have_nothing_fetched_and_take_nothing(node: FakeNode, links: Links) -> None:
    links.add()
    links.allow("gh:org/*")
    for headers in (
        {**BROWSER, "User-Agent": "Slackbot-LinkExpanding 1.0"},
        {**BROWSER, "Sec-Purpose": "prefetch"},
        {**BROWSER, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"},
        {**BROWSER, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"},
    ):
        for path in ("/c/spring", "/c/gh:org/new"):
            links.get(path, headers)
    assert node.claims == {}
    assert list(links.contents.all()) == ["spring"]


def test_phones_are_told_of_to_the_node(node: FakeNode, links: Links) -> None:
    links.add(page="a.ipynb")
    links.get("/c/spring", PHONE)
    [asked] = node.spawns()
    assert asked.body["tickets"][0]["phone"] is True


def test_programs_get_a_sandbox_with_files(node: FakeNode, links: Links) -> None:
    links.add()
    answer = links.fleet.web.post("/api/spawn", json={"content": "spring", "path": "a.ipynb"})
    assert (answer.status_code, answer.json["files"]) == (200, "done")  # type: ignore[index]
    assert answer.json["url"].endswith("/lab/tree/a.ipynb")  # type: ignore[index]
    node.fill_states = [{"state": "failed", "message": "no"}]
    answer = links.fleet.web.post("/api/spawn", json={"content": "spring"})
    assert (answer.json["files"], answer.json["message"]) == ("failed", "no")  # type: ignore[index]
    assert links.fleet.web.post("/api/spawn", json={"content": "nope"}).status_code == 404
    assert "files" not in links.fleet.web.post("/api/spawn", json={}).json  # type: ignore[operator]


def test_named_contents_are_served_while_the_database_is_away(node: FakeNode, links: Links) -> None:
    links.add()
    assert node.blobs
    links.allow("gh:org/*")
    database = Path(links.fleet.settings.database_url.removeprefix("sqlite:///"))
    links.fleet.worker.database_state.problem = "the database is away"
    database.rename(database.with_suffix(".gone"))
    assert end(links.get("/c/spring")) == "/lab"


def test_the_badge_may_be_shown_on_every_site(links: Links) -> None:
    badge = links.get("/badge_logo.svg")
    badge.close()
    assert (badge.status_code, badge.mimetype) == (200, "image/svg+xml")
    assert badge.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "max-age" in badge.headers["Cache-Control"]


def test_sources_that_an_operator_named_need_no_pattern(node: FakeNode, links: Links) -> None:
    links.add()
    source = parse_source(f"{SOURCE}-spring").text
    assert end(links.get(f"/c/{source}/-/a.ipynb")) == "/lab/tree/a.ipynb"
    links.add("private", NEXT_DIGEST, token="s3cret")
    assert links.get(f"/c/{SOURCE}-private").status_code == 404
    assert node.wished.popitem()[1] == DIGEST
