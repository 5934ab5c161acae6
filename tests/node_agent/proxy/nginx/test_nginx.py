"""Tests of the rendered nginx configuration, with a real nginx in front of hostile and of broken servers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from node_agent.proxy.nginx.headers import HIDDEN
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, OTHER, Answer, Front, run_nginx
from tests.support.waiting import wait_until

BASE = f"/user/{KEY}"
LISTED, FOREIGN = "https://journal.example.org", "https://evil.example.org"


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with run_nginx(ALLOW_ORIGIN=LISTED, FRAME_ANCESTORS="https://journal.example.org https://*.lab.org") as front:
        yield front


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.clear()


def echo(request: Request) -> None:
    """Answer with what came in."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    length = int(headers.get("content-length", 0))
    body = request.rfile.read(length).decode()
    request.answer_json({"method": request.command, "path": request.path, "headers": headers, "body": body})


def seen(answer: Answer) -> Any:
    """What `echo` saw."""
    assert answer.status == 200, answer
    return json.loads(answer.body)


def hostile(front: Front, *headers: tuple[str, str], path: str = "/lab", **sent: str) -> Answer:
    """What a browser gets of a sandbox that answers with these headers."""
    front.sandbox(KEY, lambda request: request.answer(200, b"hello", [*headers]))
    answer = front.ask(BASE + path, "GET", None, **sent)
    assert (answer.status, answer.body) == (200, b"hello")
    return answer


# Routing


@pytest.mark.parametrize("path", ["/", "/lab", "/lab/tree/a%20b%2Fc.ipynb?x=%22&y=..", "/files//x", "/a..b", "/%C3%A4"])
def test_a_path_reaches_the_sandbox_exactly_as_it_was_sent(front: Front, path: str) -> None:
    front.sandbox(KEY, echo)
    assert seen(front.ask(BASE + path))["path"] == BASE + path


FIRST_REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/lab", {}),
    ("HEAD", "/", {}),
    ("GET", "/files/data.csv", {}),
    ("POST", "/api/kernels?1795366001593", {}),
    ("GET", "/api/events/subscribe", {"Upgrade": "websocket", "Connection": "upgrade"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), FIRST_REQUESTS)
def test_the_first_request_of_a_visitor_leaves_a_mark_whatever_it_is_and_the_later_ones_add_nothing(
    front: Front, method: str, path: str, headers: dict[str, str]
) -> None:
    front.sandbox(KEY, echo)
    mark = front.run_dir / "seen" / KEY[:8]
    assert not mark.exists()
    front.ask(BASE + path, method, None, **headers)
    wait_until(mark.exists, 5, "the mark")
    for _ in range(3):
        front.ask(f"{BASE}/lab")
    assert mark.read_text() == "200\n"


def test_a_visitor_whose_sandbox_is_gone_leaves_no_mark(front: Front) -> None:
    assert front.ask(f"{BASE}/lab").status == 410
    assert list((front.run_dir / "seen").iterdir()) == []


def test_a_visitor_leaves_a_mark_also_where_no_access_log_is_written() -> None:
    with run_nginx(ACCESS_LOG="off", ORIGIN="sandbox") as front:
        front.sandbox(KEY, echo)
        front.ask(f"{BASE}/lab", Host=f"{KEY[:8]}.node1.example.org")
        wait_until((front.run_dir / "seen" / KEY[:8]).exists, 5, "the mark")
        assert not front.access_log.exists()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_and_body_reaches_the_sandbox(front: Front, method: str) -> None:
    front.sandbox(KEY, echo)
    found = seen(front.ask(f"{BASE}/api", method, body=b"content"))
    assert (found["method"], found["body"]) == (method, "content")


def test_a_key_reaches_its_own_sandbox_and_no_other(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, b"one"))
    front.sandbox(OTHER, lambda request: request.answer(200, b"two"))
    assert front.ask(f"{BASE}/").body == b"one"
    assert front.ask(f"/user/{OTHER}/").body == b"two"


@pytest.mark.parametrize(("query", "location"), [("", f"{BASE}/"), ("?a=1&b=%20", f"{BASE}/?a=1&b=%20")])
def test_the_bare_address_is_redirected_to_its_directory(front: Front, query: str, location: str) -> None:
    front.sandbox(KEY, echo)
    answer = front.ask(BASE + query)
    assert (answer.status, answer.header("Location")) == (302, location)


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/../../etc/passwd",
        f"{BASE}/../{OTHER}/",
        f"/user/../user/{KEY}/",
        f"{BASE}/%2e%2e/x",
        f"{BASE}/%2E%2e%2Fx",
        f"{BASE}/..%2f..%2fx",
        f"{BASE}/a/..",
        f"{BASE}/..\\x",
        f"{BASE}/%5c..%5cx",
        f"{BASE}/./x",
        "/../agent.sock",
    ],
)
def test_dot_segments_and_their_encodings_are_a_400_and_reach_nobody(front: Front, path: str) -> None:
    reached: list[str] = []
    for key in (KEY, OTHER):
        front.sandbox(key, lambda request: reached.append(request.path))
    assert front.ask(path).status == 400
    assert reached == []


@pytest.mark.parametrize(
    "path",
    [
        "/user",
        "/user/",
        "/user//",
        "/user/short/lab",
        f"/user/{KEY[:-1]}/lab",
        f"/user/{KEY}a/lab",
        f"/user/{KEY.upper()}/lab",
        f"/user//{KEY}/lab",
        f"//user/{KEY}/lab",
        f"/user/{KEY}%2flab",
        f"/%75ser/{KEY}/lab",
        f"/user/%61{KEY[1:]}/lab",
        f"/user/{KEY};x/lab",
        "/-/gone",
        "/-/broken",
        "/-/away",
    ],
)
def test_keys_and_paths_of_an_odd_shape_are_a_clean_4xx_and_reach_no_sandbox(front: Front, path: str) -> None:
    reached: list[str] = []
    front.sandbox(KEY, lambda request: reached.append(request.path))
    front.agent(lambda request: request.answer(404))
    assert front.ask(path).status == 404
    assert reached == []


def test_an_absurdly_long_path_is_a_414(front: Front) -> None:
    front.sandbox(KEY, echo)
    assert front.ask(f"{BASE}/{'a' * 100_000}").status == 414


def test_a_zero_byte_is_a_400(front: Front) -> None:
    front.sandbox(KEY, echo)
    assert front.ask(f"{BASE}/%00").status == 400


# Gone and broken, with the agent down all the while


def test_a_sandbox_that_is_gone_is_a_410_that_offers_a_fresh_one_at_the_same_path(front: Front) -> None:
    answer = front.ask(f"{BASE}/lab/tree/a%20b.ipynb?x=1&y=2")
    assert answer.status == 410
    assert b'href="https://entry.example.org/fresh/lab/tree/a%20b.ipynb?x=1&amp;y=2"' in answer.body
    assert answer.header("Cache-Control") == "no-store"
    assert str(answer.header("Content-Type")).startswith("text/html")


def test_no_markup_of_a_gone_address_gets_into_the_page(front: Front) -> None:
    answer = front.ask(f'{BASE}/"><script>alert(1)</script>')
    assert answer.status == 410
    assert b"<script>" not in answer.body


def test_a_post_to_a_sandbox_that_is_gone_gets_the_same_page(front: Front) -> None:
    answer = front.ask(f"{BASE}/api/kernels", "POST", body=b"{}")
    assert answer.status == 410
    assert b"This notebook has ended" in answer.body


def test_a_sandbox_that_refuses_is_a_503_that_tries_again(front: Front) -> None:
    front.sandbox(KEY, echo).stop()
    front.servers.clear()
    answer = front.ask(f"{BASE}/lab")
    assert answer.status == 503
    assert answer.header("Retry-After") == "3"
    assert answer.header("Cache-Control") == "no-store"
    assert b'http-equiv="refresh"' in answer.body


def test_a_sandbox_that_hangs_up_is_a_503_that_tries_again(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.connection.shutdown(socket.SHUT_RDWR))
    assert front.ask(f"{BASE}/lab").status == 503


def test_a_sandboxes_own_errors_are_passed_on(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(502, b"its own words"))
    answer = front.ask(f"{BASE}/lab")
    assert (answer.status, answer.body) == (502, b"its own words")


@pytest.mark.parametrize("path", ["/stats", "/api/stats", "/api/spawn", "/healthz"])
def test_while_the_agent_is_down_programs_get_json(front: Front, path: str) -> None:
    answer = front.ask(path)
    assert answer.status == 503
    assert json.loads(answer.body)["status"] == "unavailable"
    assert answer.header("Retry-After") == "3"


def test_while_the_agent_is_down_people_get_a_page_that_tries_again(front: Front) -> None:
    answer = front.ask("/lab")
    assert answer.status == 503
    assert b'http-equiv="refresh"' in answer.body


def test_while_the_agent_is_down_sandboxes_are_served(front: Front) -> None:
    front.sandbox(KEY, echo)
    assert front.ask(f"{BASE}/lab").status == 200


# The agent behind nginx


def test_the_agent_gets_path_and_query_as_they_were_sent(front: Front) -> None:
    front.agent(echo)
    found = seen(front.ask("/lab/tree/a%20b%2Fc?x=%22", Authorization="Bearer x"))
    assert found["path"] == "/lab/tree/a%20b%2Fc?x=%22"
    assert found["headers"]["authorization"] == "Bearer x"


def test_a_huge_body_for_the_agent_is_refused_in_json_and_never_reaches_it(front: Front) -> None:
    reached: list[str] = []
    front.agent(lambda request: reached.append(request.path))
    answer = front.ask("/api/spawn", "POST", body=b" " * 200_000)
    assert answer.status == 413
    assert json.loads(answer.body)["status"] == "bad_request"
    assert reached == []


# Hostile answers: a test per header


@pytest.mark.parametrize("name", HIDDEN)
def test_a_header_that_would_act_beyond_the_sandbox_never_reaches_the_browser(front: Front, name: str) -> None:
    value = "evil=1; url=https://evil.example.org/"
    answer = hostile(front, (name, value))
    assert value not in str(answer.headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Accel-Redirect", f"/user/{OTHER}/secret"),
        ("X-Accel-Redirect", "/-/gone"),
        ("X-Accel-Limit-Rate", "1"),
        ("X-Accel-Buffering", "no"),
        ("X-Accel-Charset", "utf-7"),
        ("X-Accel-Expires", "9999999"),
    ],
)
def test_nginx_obeys_no_sandbox(front: Front, name: str, value: str) -> None:
    front.sandbox(OTHER, lambda request: request.answer(200, b"the other visitor's secret"))
    began = time.monotonic()
    answer = hostile(front, (name, value), ("Content-Type", "text/plain"))
    assert answer.header(name) is None
    # Five bytes at one a second would show here.
    assert time.monotonic() - began < 3
    assert "utf-7" not in str(answer.headers)


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition", "Cache-Control", "ETag", "Last-Modified"])
def test_headers_that_describe_the_answer_itself_are_kept(front: Front, name: str) -> None:
    value = "text/x-special" if name == "Content-Type" else 'W/"made-up"'
    assert str(hostile(front, (name, value)).header(name)).startswith(value)


@pytest.mark.parametrize(
    "name", ["Cookie", "Authorization", "Proxy-Authorization", "Referer", "X-Forwarded-For", "X-Real-IP", "Forwarded"]
)
def test_a_visitors_secrets_for_other_places_never_reach_a_sandbox(front: Front, name: str) -> None:
    front.sandbox(KEY, echo)
    found = seen(front.ask(f"{BASE}/lab", "GET", None, **{name.replace("-", "_"): "a secret"}))
    assert name.lower() not in found["headers"]
    assert "a secret" not in str(found)


def test_the_visitors_host_name_reaches_the_sandbox(front: Front) -> None:
    front.sandbox(KEY, echo)
    assert seen(front.ask(f"{BASE}/lab"))["headers"]["host"] == f"127.0.0.1:{front.port}"


def test_no_service_worker_can_be_fetched_from_a_sandbox(front: Front) -> None:
    front.sandbox(KEY, echo)
    assert front.ask(f"{BASE}/files/worker.js", Service_Worker="script").status == 403


def test_the_address_does_not_travel_on_to_where_links_lead(front: Front) -> None:
    assert hostile(front, ("Referrer-Policy", "unsafe-url")).header("Referrer-Policy") == "no-referrer"


def test_search_engines_stay_out(front: Front) -> None:
    assert hostile(front, ("X-Robots-Tag", "all")).header("X-Robots-Tag") == "noindex, nofollow"


def test_nginx_does_not_say_its_version(front: Front) -> None:
    assert hostile(front).header("Server") == "nginx"


# Frames


FRAMES = "frame-ancestors 'self' https://journal.example.org https://*.lab.org"


def policy(front: Front, sent: str, path: str = "/lab") -> str | None:
    return hostile(front, ("Content-Security-Policy", sent), path=path).header("Content-Security-Policy")


def test_who_may_show_a_sandbox_in_a_frame_is_the_nodes_decision(front: Front) -> None:
    assert policy(front, "frame-ancestors *; script-src 'none'; report-uri https://evil.example.org") == FRAMES


@pytest.mark.parametrize("sent", ["frame-ancestors 'self'; sandbox allow-scripts", "sandbox", "SANDBOX allow-scripts"])
def test_jupyters_confinement_of_files_is_kept(front: Front, sent: str) -> None:
    assert policy(front, sent) == f"{FRAMES}; sandbox allow-scripts"


@pytest.mark.parametrize("path", ["/files/page.html", "/nbconvert/html/a.ipynb"])
def test_files_are_confined_even_if_the_sandbox_forgets_it(front: Front, path: str) -> None:
    assert policy(front, "default-src *", path) == f"{FRAMES}; sandbox allow-scripts"


def test_jupyters_confinement_of_its_api_is_kept(front: Front) -> None:
    assert policy(front, "frame-ancestors 'self'; default-src 'none'") == f"{FRAMES}; default-src 'none'"


def test_a_sandbox_that_sends_no_policy_gets_the_nodes(front: Front) -> None:
    assert hostile(front).header("Content-Security-Policy") == FRAMES


@pytest.mark.parametrize("destination", ["iframe", "frame", "object", "embed"])
@pytest.mark.parametrize("origin", ["same-site", "cross-site"])
def test_a_page_that_another_site_put_into_a_frame_has_none_of_this_origin_around_it(
    front: Front, destination: str, origin: str
) -> None:
    answer = hostile(front, Sec_Fetch_Dest=destination, Sec_Fetch_Site=origin)
    assert answer.header("Content-Security-Policy") == FRAMES.replace("'self' ", "")


@pytest.mark.parametrize(
    ("path", "destination", "origin"),
    [("/lab", "iframe", "same-origin"), ("/lab", "document", "cross-site"), ("/files/a.html", "iframe", "cross-site")],
)
def test_a_sandboxs_own_frames_and_confined_files_may_have(
    front: Front, path: str, destination: str, origin: str
) -> None:
    answer = hostile(front, path=path, Sec_Fetch_Dest=destination, Sec_Fetch_Site=origin)
    assert (answer.header("Content-Security-Policy") or "").startswith(FRAMES)


def test_no_opener_keeps_hold_of_a_sandboxs_page(front: Front) -> None:
    answer = hostile(front, ("Cross-Origin-Opener-Policy", "unsafe-none"))
    assert answer.header("Cross-Origin-Opener-Policy") == "noopener-allow-popups"


# CORS and the Origin


def test_a_page_of_a_listed_site_may_read_answers(front: Front) -> None:
    answer = hostile(front, ("Access-Control-Allow-Origin", "*"), Origin=LISTED)
    assert answer.header("Access-Control-Allow-Origin") == LISTED
    assert answer.header("Access-Control-Allow-Credentials") == "true"
    assert answer.header("Vary") == "Origin"


@pytest.mark.parametrize(
    "status", [200, 201, 206, 302, 304, 400, 401, 403, 404, 405, 409, 416, 429, 500, 502, 503, 504]
)
def test_whatever_a_sandbox_answers_can_be_read_by_a_listed_site(front: Front, status: int) -> None:
    front.sandbox(KEY, lambda request: request.answer(status, b"", [("Access-Control-Allow-Origin", "null")]))
    answer = front.ask(f"{BASE}/api/kernels", "GET", Origin=LISTED)
    assert answer.status == status
    assert [value for name, value in answer.headers if name == "access-control-allow-origin"] == [LISTED]
    assert [value for name, value in answer.headers if name == "access-control-allow-credentials"] == ["true"]


def test_whatever_the_proxy_says_itself_can_be_read_by_a_listed_site(front: Front) -> None:
    def breaks_off(request: Request) -> None:
        request.close_connection = True

    front.sandbox(KEY, breaks_off)
    said = {
        "a sandbox that is no more": front.ask(f"/user/{OTHER}/api/kernels", "GET", Origin=LISTED),
        "one that answers nothing": front.ask(f"{BASE}/api/kernels", "GET", Origin=LISTED),
        "another address": front.ask("/nothing/here", "GET", Origin=LISTED),
        "another site's word": front.ask(f"{BASE}/api", "POST", body=b"{}", Origin=FOREIGN),
    }
    assert {answer.status for answer in said.values()} >= {403, 410}
    foreign = said.pop("another site's word")
    assert not [name for name, _ in foreign.headers if name.startswith("access-control")]
    for what, answer in said.items():
        assert answer.status >= 400, what
        assert answer.header("Access-Control-Allow-Origin") == LISTED, (what, answer.status)


def test_where_everybody_may_read_nobody_may_with_cookies() -> None:
    with run_nginx(ALLOW_ORIGIN="*") as front:
        for method in ("GET", "OPTIONS"):
            front.sandbox(KEY, lambda request: request.answer(200, b"", [("Access-Control-Allow-Credentials", "true")]))
            answer = front.ask(f"{BASE}/api/kernels", method, Origin=FOREIGN)
            assert answer.header("Access-Control-Allow-Origin") == "*"
            assert answer.header("Access-Control-Allow-Credentials") is None


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{LISTED}.evil.org", "https://journal.example.org:444"])
def test_a_page_of_any_other_site_may_not_read_answers(front: Front, origin: str) -> None:
    answer = hostile(front, ("Access-Control-Allow-Origin", origin), Origin=origin)
    assert answer.header("Access-Control-Allow-Origin") is None


def test_a_preflight_of_a_listed_site_is_answered_by_nginx_itself(front: Front) -> None:
    for path in (f"{BASE}/api/kernels", "/api/spawn"):
        answer = front.ask(path, "OPTIONS", Origin=LISTED, Access_Control_Request_Method="POST")
        assert answer.status == 204
        assert answer.header("Access-Control-Allow-Origin") == LISTED
        assert "POST" in str(answer.header("Access-Control-Allow-Methods"))
        assert "Content-Type" in str(answer.header("Access-Control-Allow-Headers"))
        assert answer.header("Access-Control-Max-Age") == "600"


def test_a_preflight_of_any_other_site_allows_nothing(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(204, b"", [("Access-Control-Allow-Methods", "*")]))
    answer = front.ask(f"{BASE}/api", "OPTIONS", Origin=FOREIGN, Access_Control_Request_Method="POST")
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_page_of_another_site_changes_nothing_in_a_sandbox(front: Front, method: str) -> None:
    front.sandbox(KEY, echo)
    assert front.ask(f"{BASE}/api", method, body=b"{}", Origin=FOREIGN).status == 403
    assert front.ask(f"{BASE}/api", method, body=b"{}", Origin="null").status == 403
    assert front.ask(f"{BASE}/api", method, body=b"{}", Origin=LISTED).status == 200
    assert front.ask(f"{BASE}/api", method, body=b"{}", Origin=f"http://127.0.0.1:{front.port}").status == 200
    assert front.ask(f"{BASE}/api", method, body=b"{}").status == 200


# Websockets


def upgrade(front: Front, path: str, origin: str | None, host: str = "") -> tuple[bytes, bytes]:
    """The status line of an upgrade, and what comes back of four bytes sent after it."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{front.port}'}",
        "Connection: Upgrade",
        "Upgrade: WebSocket",
        "Cookie: a secret",
        *([f"Origin: {origin}"] if origin else []),
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as browser:
        browser.sendall("\r\n".join(lines).encode())
        head = b""
        while b"\r\n\r\n" not in head and (more := browser.recv(65536)):
            head += more
        if b" 101 " not in head:
            return head.splitlines()[0], b""
        assert b"set-cookie" not in head.lower()
        browser.sendall(b"ping")
        return head.splitlines()[0], browser.recv(4)


def websocket(request: Request) -> None:
    assert request.headers["Upgrade"] == "websocket"
    assert "Cookie" not in request.headers
    request.wfile.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\n\r\n"
    )
    request.wfile.write(request.rfile.read(4).upper())
    request.close_connection = True


@pytest.mark.parametrize("origin", [None, LISTED, "same"])
def test_a_websocket_of_this_or_a_listed_site_is_passed_on_both_ways(front: Front, origin: str | None) -> None:
    front.sandbox(KEY, websocket)
    own = f"http://127.0.0.1:{front.port}" if origin == "same" else origin
    assert upgrade(front, f"{BASE}/api/kernels/1/channels", own) == (b"HTTP/1.1 101 Switching Protocols", b"PING")


def test_the_public_name_of_a_node_behind_another_proxy_is_its_own_site(front: Front) -> None:
    front.sandbox(KEY, websocket)
    assert upgrade(front, f"{BASE}/ws", "https://node1.example.org")[1] == b"PING"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "file://", "http://127.0.0.1", f"{LISTED} {FOREIGN}"])
def test_a_websocket_of_any_other_site_is_refused(front: Front, origin: str) -> None:
    reached: list[str] = []
    front.sandbox(KEY, lambda request: reached.append(request.path))
    assert upgrade(front, f"{BASE}/ws", origin)[0] == b"HTTP/1.1 403 Forbidden"
    assert reached == []


def test_a_websocket_to_a_sandbox_that_is_gone_is_a_410(front: Front) -> None:
    assert upgrade(front, f"{BASE}/ws", None)[0] == b"HTTP/1.1 410 Gone"


def test_a_websocket_to_a_sandbox_that_refuses_is_a_503(front: Front) -> None:
    front.sandbox(KEY, websocket).stop()
    front.servers.clear()
    assert upgrade(front, f"{BASE}/ws", None)[0] == b"HTTP/1.1 503 Service Temporarily Unavailable"


# Logs


def test_no_log_holds_a_key_a_path_a_query_or_a_referer(front: Front) -> None:
    secret = "/a-secret-path?a-secret-query"
    front.sandbox(KEY, echo)
    front.sandbox(OTHER, echo).stop()
    front.servers.pop()
    before = len(front.access_log.read_text().splitlines())
    front.ask(BASE + secret, Referer=f"http://x{BASE}/")
    front.ask(f"{BASE}/../x")
    front.ask(f"{BASE}/{'a' * 100_000}")
    front.ask(f"/user/{OTHER}{secret}")
    front.ask(f"/user/{'4' * 34}{secret}")
    front.ask(f"/user/{'4' * 35}{secret}")
    # A line is written after its answer.
    wait_until(lambda: len(front.access_log.read_text().splitlines()) == before + 6, 5, "the log's lines")
    lines = [line.split() for line in front.access_log.read_text().splitlines()[before:]]
    # Several worker processes write, each in its own time.
    assert {(method, call, status, name) for _, method, call, status, _, _, name in lines} == {
        ("GET", "sandbox", "200", KEY[:8]),
        ("GET", "sandbox", "400", KEY[:8]),
        ("-", "-", "414", "-"),
        ("GET", "sandbox", "503", OTHER[:8]),
        ("GET", "sandbox", "410", "44444444"),
        ("GET", "sandbox", "404", "-"),
    }
    logged = front.access_log.read_text() + front.error_log.read_text()
    for never in (KEY[8:], OTHER[8:], "4" * 9, "a-secret", "/user/"):
        assert never not in logged


# Other settings


def test_without_settings_nobody_may_embed_or_read_across_sites() -> None:
    with run_nginx() as front:
        answer = hostile(front, ("Access-Control-Allow-Origin", "*"), Origin=LISTED)
        assert answer.header("Content-Security-Policy") == "frame-ancestors 'self'"
        assert not [name for name, _ in answer.headers if name.startswith("access-control")]
        assert upgrade(front, f"{BASE}/ws", LISTED)[0] == b"HTTP/1.1 403 Forbidden"


def test_any_site_may_read_where_the_setting_says_so() -> None:
    with run_nginx(ALLOW_ORIGIN="*", FRAME_ANCESTORS="*") as front:
        answer = hostile(front, Origin=FOREIGN)
        assert answer.header("Access-Control-Allow-Origin") == "*"
        assert answer.header("Content-Security-Policy") == "frame-ancestors 'self' *"
        front.sandbox(KEY, websocket)
        assert upgrade(front, f"{BASE}/ws", FOREIGN)[1] == b"PING"


def test_a_neighbours_page_has_no_part_in_a_sandbox() -> None:
    with run_nginx() as front:
        front.sandbox(KEY, lambda request: request.answer(200, b"a stylesheet"))
        for site, mode, status in (
            ("same-site", "no-cors", 403),
            ("same-site", "cors", 403),
            ("same-site", "navigate", 200),
            ("same-origin", "no-cors", 200),
            ("cross-site", "no-cors", 200),  # as of a file of the visitor's own, which is confined to no origin
        ):
            answer = front.ask(f"{BASE}/static/style.css", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode)
            assert answer.status == status, (site, mode)


def test_where_other_sites_may_use_the_api_their_pages_show_a_sandboxs_pictures(front: Front) -> None:
    front.sandbox(KEY, lambda request: request.answer(200, b"a picture"))
    assert front.ask(f"{BASE}/files/a.png", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors").status == 200
