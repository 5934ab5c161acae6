"""Addresses made for BinderHub, nbgitpuller and Colab, as visitors open them, and what their clients ask before."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from redirector.model.sources import parse_source
from redirector.web.visitors.addresses import TAKEN
from tests.redirector.web.visitors.test_content_links import BROWSER, DIGEST, PROGRAM, Links, end, following
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

REPOSITORY = quote("https://github.com/org/course", safe="")


@pytest.fixture
def links(fleet: SteppedWorker) -> Links:
    return Links(fleet)


@pytest.fixture
def node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    node = nodes.add("n1", blobs={DIGEST})
    fleet.add(node)
    return node


@pytest.fixture
def course(links: Links) -> Links:
    """Links may ask for everything of one owner; one repository has been fetched on three branches."""
    links.allow("gh:org/*")
    for ref in ("", "@main", "@feature/x"):
        content = links.contents.want_link(parse_source(f"gh:org/course{ref}"), "default")
        links.fetched(content.name, DIGEST)
    return links


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("/v2/gh/org/course/main", "/lab"),
        ("/v2/gh/org/course/HEAD", "/lab"),
        ("/v2/gh/org/course/main?labpath=week%201%2Fa.ipynb", "/doc/tree/week%201/a.ipynb"),
        ("/v2/gh/org/course/main?filepath=a.ipynb", "/tree/a.ipynb"),
        (
            "/v2/gh/org/course/feature%2Fx?urlpath=%2Fvoila%2Frender%2Fa.ipynb%3Ftheme%3Ddark",
            "/voila/render/a.ipynb?theme=dark",
        ),
        ("/v2/gh/org/course/feature/x?urlpath=lab%2Ftree%2F%C3%9Cbung.ipynb", "/lab/tree/%C3%9Cbung.ipynb"),
        (f"/v2/git/{REPOSITORY}/main?labpath=a.ipynb", "/doc/tree/a.ipynb"),
        (
            "/v2/gh/org/environment/main?urlpath="
            + quote(f"git-pull?repo={REPOSITORY}&branch=main&urlpath=lab%2Ftree%2Fcourse%2Fa.ipynb", safe=""),
            "/lab/tree/a.ipynb",
        ),
        (f"/git-pull?repo={REPOSITORY}&branch=main&urlpath=lab%2Ftree%2Fcourse%2Fa.ipynb", "/lab/tree/a.ipynb"),
        (f"/hub/user-redirect/git-pull?repo={REPOSITORY}&urlpath=tree%2Fcourse%2Fa.ipynb", "/tree/a.ipynb"),
        ("/github/org/course/blob/main/week%201/a.ipynb", "/lab/tree/week%201/a.ipynb"),
        ("/c/gh:org/course@main?urlpath=voila%2Frender%2Fa.ipynb", "/voila/render/a.ipynb"),
    ],
)
def test_an_address_made_for_another_service_opens_the_same_work(
    node: FakeNode, course: Links, address: str, inside: str
) -> None:
    assert end(course.get(address)) == inside
    assert list(node.wished.values()) == [DIGEST]


GENERATED = [
    ("/v2/gh/org/course/main?urlpath=lab/tree/docs/nb/lesson.ipynb", "/lab/tree/docs/nb/lesson.ipynb"),
    (
        (
            "/hub/user-redirect/git-pull?repo=https%3A//github.com/org/course"
            "&urlpath=lab/tree/course/docs/nb/lesson.ipynb&branch=main"
        ),
        "/lab/tree/docs/nb/lesson.ipynb",
    ),
    ("/github/org/course/blob/main/docs/nb/lesson.ipynb", "/lab/tree/docs/nb/lesson.ipynb"),
    ("/v2/gh/org/course/main?urlpath=lab/tree/notebooks/auto/plot_a.ipynb", "/lab/tree/notebooks/auto/plot_a.ipynb"),
]
"""As they stood in pages that sphinx-book-theme 1.4.0 and sphinx-gallery 0.22.1 (the last one) built."""


@pytest.mark.parametrize(("address", "inside"), GENERATED)
def test_links_that_documentation_generates_open_the_page(
    node: FakeNode, course: Links, address: str, inside: str
) -> None:
    assert end(course.get(address)) == inside
    assert list(node.wished.values()) == [DIGEST]


def test_all_ways_to_one_source_lead_back_to_one_sandbox(node: FakeNode, course: Links) -> None:
    ways = [
        "/v2/gh/org/course/main?labpath=a.ipynb",
        f"/git-pull?repo={REPOSITORY}&branch=main",
        "/github/org/course/blob/main/a.ipynb",
        "/c/gh:org/course@main",
    ]
    assert len({course.get(way).headers["Location"].split("/user/")[1].split("/")[0] for way in ways}) == 1
    assert len(node.claims) == 1


def test_the_wait_keeps_the_page(nodes: FakeNodes, fleet: SteppedWorker, course: Links) -> None:
    full = nodes.add("n1", blobs={DIGEST}, ready=0)
    fleet.add(full)
    waiting = course.get("/v2/gh/org/course/feature%2Fx?urlpath=voila%2Frender%2F%C3%9C%20b.ipynb%3Fx%3D1", PROGRAM)
    assert waiting.status_code == 202
    assert waiting.json is not None
    full.ready = 1
    fleet.tick()
    came = course.get(waiting.json["next"], PROGRAM)
    assert came.status_code == 200
    assert came.json is not None
    assert came.json["url"].endswith("/voila/render/%C3%9C%20b.ipynb?x=1")


def test_the_page_that_waits_for_a_first_fetch_goes_on_there(node: FakeNode, links: Links) -> None:
    links.allow("gh:org/*")
    answer = links.get("/v2/gh/org/new/main?labpath=a.ipynb")
    assert following(answer) == "/c/gh:org/new@main?urlpath=doc%2Ftree%2Fa.ipynb"
    assert node.claims == {}


@pytest.mark.parametrize(
    ("address", "denial"),
    [
        ("/v2/gh/other/course/main", (404, "content_not_allowed", "gh:other/course@main")),
        ("/v2/gh/%2e%2e/course/main", (400, "unreadable_link", "")),
        ("/v2/gist/user/abc", (400, "unreadable_link", "gist")),
        ("/v2/gh/org", (400, "unreadable_link", "repository")),
        (f"/v2/gh/org/course/{'a' * 4096}", (400, "unreadable_link", "500")),
        ("/v2/gh/org/course/main%00", (400, "unreadable_link", "")),
        ("/v2/gh/%FF%FE/course/main", (400, "unreadable_link", "")),
        ("/git-pull", (400, "unreadable_link", "repo=")),
        ("/git-pull?repo=https%3A%2F%2Fforge.example%2Fx", (404, "content_not_allowed", "forge.example")),
        ("/github/org/course/issues", (400, "unreadable_link", "/blob/")),
    ],
)
def test_what_is_not_allowed_or_makes_no_sense_is_one_sentence_and_takes_nothing(
    node: FakeNode, course: Links, address: str, denial: tuple[int, str, str]
) -> None:
    status, code, word = denial
    said = course.get(address, PROGRAM)
    assert (said.status_code, said.json["status"]) == (status, code)  # type: ignore[index]
    assert word in said.json["message"]  # type: ignore[index]
    shown = course.get(address, BROWSER)
    assert (shown.status_code, shown.mimetype) == (status, "text/html")
    assert node.claims == {}


@pytest.mark.parametrize(
    "address",
    [
        "/v2/gh/org/page/main?urlpath=..%2F..%2Fx",
        "/c/gh:org/course@main?urlpath=lab%2F%00",
        "/v2/gh/org/course/main?labpath=%5C",
    ],
)
def test_a_page_that_no_sandbox_would_open_takes_nothing(node: FakeNode, course: Links, address: str) -> None:
    assert course.get(address).status_code == 404
    assert node.claims == {}


@pytest.mark.parametrize("address", ["/v2/gh/org/course/main", f"/git-pull?repo={REPOSITORY}", "/github/org/course"])
@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "Slackbot-LinkExpanding 1.0"},
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_who_only_looks_takes_nothing(node: FakeNode, course: Links, address: str, headers: dict[str, str]) -> None:
    assert course.get(address, {**BROWSER, **headers}).status_code in {200, 403, 503}
    assert node.claims == {}


def test_where_sandboxes_have_nbgitpuller_themselves_its_other_links_are_left_to_it(
    nodes: FakeNodes, fleet: SteppedWorker, course: Links
) -> None:
    node = nodes.add("n1", blobs={DIGEST}, landing_prefixes=["git-pull"])
    fleet.add(node)
    other = "/git-pull?repo=https%3A%2F%2Fforge.example%2Fx"
    assert end(course.get(other)) == other
    assert end(course.get(f"/git-pull?repo={REPOSITORY}")) == "/lab"


@pytest.mark.usefixtures("node")
def test_a_file_by_its_address_still_goes_to_the_visitors_own_browser(course: Links) -> None:
    address = "/lab/tree/a.ipynb?fromURL=https%3A%2F%2Fforge.example%2Fa.ipynb"
    assert end(course.get(address)) == address


def test_clients_of_binderhub_learn_that_its_links_are_understood(fleet: SteppedWorker) -> None:
    answer = fleet.web.get("/versions", headers={"Origin": "https://book.example"})
    assert answer.status_code == 200
    assert "binderhub" in answer.get_json()
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert set(fleet.web.get("/hub/api/").get_json()) == {"version"}


def test_health_is_told_as_binderhub_does(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    assert fleet.web.get("/health").status_code == 503
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.web.get("/health")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "ok": True,
        "checks": [{"service": "nodes", "ok": True}, {"service": "database", "ok": True}],
    }
    nodes.die(node)
    fleet.tick(3)
    assert (fleet.web.get("/health").status_code, fleet.web.get("/health").get_json()["ok"]) == (503, False)


def test_the_first_parts_of_these_addresses_are_nobody_elses() -> None:
    assert {"v2", "github", "versions", "health"} <= set(TAKEN)
