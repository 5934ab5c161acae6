"""What nginx serves by itself: shared files, its own script, and hosts of their own for sandboxes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from node_agent.assets.store import AssetStore
from node_agent.pages import script, script_path
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, OTHER, Answer, Front, run_nginx
from tmpnb_common.keys import name_of

ID = "0123456789abcdef"
MAIN = b"the program " * 100
HTML = [("Content-Type", "text/html; charset=utf-8")]
PAGE = b"<!doctype html><html><head><title>A page</title></head><body></body></html>"
NODE = "node1.example.org"


@pytest.fixture(scope="module", params=["node", "sandbox"])
def running(request: pytest.FixtureRequest) -> Iterator[Front]:
    with run_nginx(ORIGIN=request.param) as front:
        store = AssetStore(front.run_dir / "static")
        store.prepare()
        extension = "labextensions/@jupyter/thing/static/1.js"
        store.put(ID, [("lab/index.html", b"<html>"), ("lab/main.js", MAIN), (extension, b"an extension")])
        store.use(ID, "somebody")
        yield front


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.clear()


@pytest.fixture(scope="module")
def apart() -> Iterator[Front]:
    with run_nginx(ORIGIN="sandbox") as front:
        yield front


@pytest.fixture
def own_hosts(apart: Front) -> Iterator[Front]:
    yield apart
    apart.clear()


def of_sandbox(front: Front, path: str, *, key: str = KEY, **headers: str) -> Answer:
    """Ask at the sandbox's own host, which is as good as the node's where there is one origin for all."""
    return front.ask(f"/user/{key}{path}", "GET", None, Host=f"{name_of(key)}.{NODE}", **headers)


# Shared files


def test_shared_files_are_sent_compressed_for_ever_and_to_every_origin(front: Front) -> None:
    answer = front.ask(f"/static/{ID}/lab/main.js?v=1", Accept_Encoding="gzip")
    assert gzip.decompress(answer.body) == MAIN
    assert answer.header("Content-Type") == "text/javascript; charset=utf-8"
    assert answer.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert answer.header("Access-Control-Allow-Origin") == "*"


def test_a_client_that_cannot_unpack_gets_shared_files_plain(front: Front) -> None:
    answer = front.ask(f"/static/{ID}/lab/main.js")
    assert answer.header("Content-Encoding") is None
    assert answer.body == MAIN


@pytest.mark.parametrize(
    "path",
    [
        f"/static/{ID}.users/somebody",
        f"/static/{ID}/lab/",
        f"/static/{ID}/lab/none.js",
        f"/static/{ID}/",
        "/static/",
        f"/static/{ID}/lab/%2e%2e/%2e%2e/{ID}.users/somebody",
    ],
)
def test_nothing_else_below_static_is_served(front: Front, path: str) -> None:
    front.agent(lambda request: request.answer(404))
    assert front.ask(path).status in (400, 403, 404)


def test_a_shared_page_is_never_shown_as_one(front: Front) -> None:
    assert front.ask(f"/static/{ID}/lab/index.html").header("Content-Type") == "application/octet-stream"


def test_an_extension_that_came_with_the_image_is_fetched_from_where_all_share_it(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, b"the sandbox's own"))
    answer = of_sandbox(front, f"/lab/extensions/@{ID}/@jupyter/thing/static/1.js?v=2")
    assert answer.status == 302
    location = (answer.header("Location") or "").removeprefix(f"https://{NODE}")
    assert location == f"/static/{ID}/labextensions/@jupyter/thing/static/1.js"
    assert front.ask(location).body == b"an extension"


def test_an_extension_that_the_visitor_installed_comes_from_the_sandbox(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, b"the sandbox's own"))
    assert of_sandbox(front, f"/lab/extensions/@{ID}/mine/static/1.js").body == b"the sandbox's own"


# The script


def test_every_page_of_a_sandbox_begins_with_the_nodes_script(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, PAGE, HTML))
    tag = f'<head><script src="{script_path("sandbox")}" data-entry="https://entry.example.org" data-origin="'
    assert tag.encode() in of_sandbox(front, "/lab").body


def test_the_script_is_there_for_ever(front: Front) -> None:
    answer = front.ask(script_path("sandbox"))
    assert answer.body.decode() == script("sandbox")
    assert answer.header("Content-Type") == "text/javascript; charset=utf-8"
    assert "immutable" in (answer.header("Cache-Control") or "")


def test_there_is_no_script_at_the_address_of_another_content(front: Front) -> None:
    """Else who asked for the next version's address before its time would keep this version under it for ever."""
    answer = front.ask("/-/sandbox.0123456789abcdef.js")
    assert answer.status == 404
    assert answer.header("Cache-Control") is None


@pytest.mark.parametrize("path", ["/files/mine.html", "/nbconvert/html/a.ipynb", "/api/contents/a.html"])
def test_the_visitors_own_files_are_left_as_they_are(front: Front, path: str) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, PAGE, HTML))
    assert of_sandbox(front, path).body == PAGE


def test_a_sandbox_is_asked_for_plain_answers_and_nginx_compresses_them(front: Front) -> None:
    def say(request: Request) -> None:
        body = json.dumps({"asked": request.headers.get("Accept-Encoding"), "more": "x" * 2000}).encode()
        request.answer(200, body, [("Content-Type", "application/json")])

    front.sandbox(KEY, say)
    answer = of_sandbox(front, "/lab/api/settings", Accept_Encoding="gzip")
    assert answer.header("Content-Encoding") == "gzip"
    assert json.loads(gzip.decompress(answer.body))["asked"] is None


# How long a sandbox has left


def test_the_agent_is_asked_how_long_a_sandbox_has_left_and_its_key_is_in_no_log(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200))
    front.agent(lambda request: request.answer_json({"path": request.path}))
    answer = front.ask(f"/-/left/{KEY}", Host=f"{name_of(KEY)}.{NODE}")
    assert json.loads(answer.body) == {"path": f"/-/left/{KEY}"}
    assert KEY not in front.access_log.read_text()


def test_a_sandbox_that_is_gone_costs_the_agent_no_question(front: Front) -> None:
    asked: list[str] = []
    front.agent(lambda request: asked.append(request.path))
    assert front.ask(f"/-/left/{OTHER}").status == 410
    assert asked == []


# Hosts of their own


def test_at_the_nodes_own_host_a_sandboxes_address_leads_to_its_host(own_hosts: Front) -> None:
    own_hosts.sandbox(KEY, lambda request: request.answer(200, b"never here"))
    answer = own_hosts.ask(f"/user/{KEY}/lab?a=b", Host=NODE)
    assert (answer.status, answer.header("Location")) == (307, f"https://{name_of(KEY)}.{NODE}/user/{KEY}/lab?a=b")


def test_a_sandboxes_host_shows_that_sandbox_and_no_other(own_hosts: Front) -> None:
    for key in (KEY, OTHER):
        own_hosts.sandbox(key, lambda request: request.answer(200, request.path.encode()))
    assert own_hosts.ask(f"/user/{KEY}/lab", Host=f"{name_of(KEY)}.{NODE}").body == f"/user/{KEY}/lab".encode()
    assert own_hosts.ask(f"/user/{OTHER}/lab", Host=f"{name_of(KEY)}.{NODE}").status == 404


@pytest.mark.parametrize("path", ["/", "/lab/tree/a.ipynb?b=c", "/api/sandboxes", "/stats"])
def test_at_a_sandboxes_host_every_other_address_leads_to_the_entry_and_none_to_the_agent(
    own_hosts: Front, path: str
) -> None:
    asked: list[str] = []
    own_hosts.agent(lambda request: asked.append(request.path))
    answer = own_hosts.ask(path, Host=f"{name_of(KEY)}.{NODE}")
    assert (answer.status, answer.header("Location")) == (302, f"https://entry.example.org{path}")
    assert asked == []


def test_a_node_whose_own_name_looks_like_a_sandboxes_is_still_itself() -> None:
    with run_nginx(ORIGIN="sandbox", URL="https://notebook.example.org") as front:
        front.agent(lambda request: request.answer(200, b"the agent"))
        assert front.ask("/stats", Host="notebook.example.org").body == b"the agent"


def test_a_page_of_another_sandbox_changes_nothing(own_hosts: Front) -> None:
    own_hosts.sandbox(KEY, lambda request: request.answer(200))
    answer = own_hosts.ask(
        f"/user/{KEY}/api/kernels", "POST", Host=f"{name_of(KEY)}.{NODE}", Origin=f"https://{name_of(OTHER)}.{NODE}"
    )
    assert answer.status == 403
