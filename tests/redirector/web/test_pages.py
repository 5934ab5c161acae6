"""The redirector's pages: their headers, an operator's own ones, and plain words for every error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redirector.errors import FleetConfigError
from redirector.web.pages import check_templates
from redirector.web.visitors.bots import is_bot
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ANDROID = "Mozilla/5.0 (Linux; Android 11; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21B74"
PAGE_BYTES = 30_000
STATIC = Path(__file__).parents[3] / "redirector" / "web" / "static"


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Twitterbot/1.0",
        "facebookexternalhit/1.1",
        "WhatsApp/2.23.20.0",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "Mozilla/5.0 zgrab/0.x",
        "UptimeRobot/2.0 monitoring",
        "LinkedInBot/1.0",
        "TelegramBot (like TwitterBot)",
        "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        "Mozilla/5.0 (Linux; Android 6; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) (compatible; Googlebot/2.1)",
        "W3C_Validator/1.3",
    ],
)
def test_bots_and_previews_get_a_small_page_and_take_nothing(
    nodes: FakeNodes, fleet: SteppedWorker, agent: str
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.visit("/lab/tree/a.ipynb", headers={"User-Agent": agent})
    assert answer.status_code == 200
    assert "og:title" in answer.text
    assert node.spawns() == []


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile",
        f"{ANDROID} Telegram-Android/11.2.1 (Tecno TECNO CH7n; Android 11; SDK 30; AVERAGE)",
        f"{ANDROID} [Pinterest/Android]",
        f"{IPHONE} [Pinterest/iOS]",
        f"{ANDROID} WhatsApp/2.24.1",
        f"{ANDROID} Slack/24.11",
        f"{ANDROID} Discord/240.0",
        f"{ANDROID} [FB_IAB/FB4A;FBAV/440.0;]",
        f"{ANDROID} Instagram 300.0.0.0 Android",
        f"{IPHONE} [LinkedInApp]/9.29",
        f"{IPHONE} Safari Line/13.1.0",
        f"{ANDROID} MicroMessenger/8.0.44",
        f"{IPHONE} Twitter for iPhone/10.1",
        f"{IPHONE} Snapchat/12.60",
        f"{ANDROID} Preview/1.0",
        "Mozilla/5.0 (Linux; Android 12; Smart Monitor M8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110",
        "curl/8.5.0",
        "python-requests/2.32",
        "",
    ],
)
def test_people_and_programs_are_no_bots(agent: str) -> None:
    assert not is_bot(agent)


def test_whoever_is_taken_for_a_bot_has_a_button_and_is_a_person_from_then_on(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    looks_so = {"User-Agent": "Somebody's spider"}
    page = fleet.visit("/lab/tree/a.ipynb?x=1", headers=looks_so)
    assert re.search(r'<form method="post"><button[^>]* name="person"', page.text)
    assert "form-action *" in page.headers["Content-Security-Policy"], "it leads to a node"
    pressed = fleet.web.post("/lab/tree/a.ipynb?x=1", data={"person": "1"}, headers=looks_so)
    assert pressed.status_code == 303
    assert pressed.headers["Location"].endswith("/lab/tree/a.ipynb?x=1")
    again = fleet.visit("/lab/tree/a.ipynb?x=1", headers=looks_so)
    assert (again.status_code, again.headers["Location"]) == (302, pressed.headers["Location"])


def test_a_person_who_looks_like_a_bot_waits_as_others_do(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0, claimed=9, capacity=9)
    fleet.add(node)
    looks_so = {"User-Agent": "Somebody's spider", "Accept": "text/html"}
    room = fleet.web.post("/lab", data={"person": "1"}, headers=looks_so)
    [following] = re.findall(r'"(/wait/[^"]+)"', room.text)[:1]
    node.ready, node.claimed = 5, 4
    fleet.tick(3)
    assert fleet.visit(following, headers=looks_so).status_code == 302


def test_robots_are_asked_to_stay_away(fleet: SteppedWorker) -> None:
    assert fleet.visit("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_pages_may_be_framed_by_the_sites_that_were_named_and_no_other(nodes: FakeNodes, tmp_path: Path) -> None:
    sites = "https://docs.example.org https://*.school.example"
    with stepped_worker(tmp_path, TMPNB_FRAME_ANCESTORS=sites) as fleet:
        fleet.add(nodes.add("n1", ready=0))
        policy = fleet.visit(headers=PERSON).headers["Content-Security-Policy"]
        assert policy.endswith(f"frame-ancestors {sites}")


def test_a_template_of_the_operators_takes_the_place_of_ours_and_the_others_stay(
    nodes: FakeNodes, tmp_path: Path
) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    (own / "waiting.html").write_text("<p>Number {{ place.position }}, please wait.</p>")
    with stepped_worker(tmp_path, TMPNB_TEMPLATES_DIR=str(own)) as fleet:
        fleet.add(nodes.add("n1", ready=0))
        assert fleet.visit(headers=PERSON).text == "<p>Number 1, please wait.</p>"
        assert "There is nothing at this address" in fleet.visit("/nope", headers=PERSON).text


def test_a_template_that_fails_while_it_is_shown_is_replaced_by_ours(nodes: FakeNodes, tmp_path: Path) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    (own / "waiting.html").write_text("{{ place.position.nothing.at.all }}")
    with stepped_worker(tmp_path, TMPNB_TEMPLATES_DIR=str(own)) as fleet:
        fleet.add(nodes.add("n1", ready=0))
        page = fleet.visit(headers=PERSON)
        assert page.status_code == 200
        assert "you are in line" in page.text


def test_templates_that_are_none_are_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text("{% if %}")
    (tmp_path / "error.html").write_text("{{ message | no_such_filter }}")
    (tmp_path / "waiting.html").write_text('{% extends "page.html" %}')
    with pytest.raises(FleetConfigError) as caught:
        check_templates(tmp_path)
    assert [re.findall(r"\w+\.html", problem)[0] for problem in caught.value.problems] == ["error.html", "full.html"]
    check_templates(None)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nope", 404, "nothing at this address"),
        ("/?pool=nothing", 404, "no such kind of notebook"),
        ("/lab/" + "x" * 5000, 414, "too long"),
        ("/lab/odd", 400, "No notebook can be opened"),
    ],
)
def test_people_are_told_in_plain_words_and_programs_in_one_shape(
    nodes: FakeNodes, fleet: SteppedWorker, path: str, status: int, words: str
) -> None:
    fleet.add(nodes.add("n1", puzzled_by="odd"))
    page = fleet.visit(path, headers=PERSON)
    assert page.status_code == status
    assert words in page.text
    assert 'href="/"' in page.text, "there is a way on"
    program = fleet.visit(path, headers={"Accept": "application/json"})
    assert program.status_code == status
    assert set(program.get_json()) == {"status", "message"}


def test_no_error_ever_shows_a_stack_trace(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))

    def stumble() -> str:
        raise ZeroDivisionError("a secret of ours")

    fleet.worker.app.add_url_rule("/stumble", view_func=stumble)
    for accept in ("text/html", "application/json"):
        answer = fleet.visit("/stumble", headers={"Accept": accept})
        assert answer.status_code == 500
        assert "Traceback" not in answer.text
        assert "secret" not in answer.text
        assert "went wrong" in answer.text


def size(fleet: SteppedWorker, name: str) -> int:
    with fleet.visit(f"/static/{name}") as part:
        assert part.status_code == 200, name
        return len(part.data)


def test_every_page_with_all_it_loads_is_small_and_comes_from_us(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=0))
    pages = [fleet.visit(path, headers=PERSON).text for path in ("/", "/nope", "/?pool=x")]
    pages.append(fleet.visit(headers={"User-Agent": "Slackbot"}).text)
    for page in pages:
        loaded = re.findall(r'(?:src|href|data-clock)="/static/([\w./]+)"', page)
        assert {"style/colours.css", "style/pages.css", "redirector.css"} <= set(loaded)
        weight = len(page) + sum(size(fleet, name) for name in loaded)
        assert weight < PAGE_BYTES
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)


def test_every_page_that_may_be_replaced_is_documented_with_what_it_gets() -> None:
    operators = {"dashboard.html", "login.html"}
    templates = {file.name for file in (STATIC.parent / "templates").glob("*.html")} - operators
    documented = (STATIC.parents[2] / "docs" / "pages.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.html)` \|", documented, re.MULTILINE)) >= templates
