"""What the node's script does in a sandbox's page, whatever program that page belongs to."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support.chromium import chromium
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Front, run_nginx
from tests.support.other_site import Site
from tests.support.waiting import wait_until

HTML = [("Content-Type", "text/html")]
PAGE = """<!doctype html><html><head><title>A page</title><link rel="icon" class="busy" href="data:,"></head><body>Work
<script id="jupyter-config-data" type="application/json">{{}}</script><script>{0}</script></body></html>"""
MINUTE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium() as context:
        yield context


@pytest.fixture(scope="module")
def nginx(site: Site) -> Iterator[Front]:
    with run_nginx(FRAME_ANCESTORS=site.url) as front:
        yield front


@dataclass
class Server:
    """A sandbox with one page, and a node that knows how long it has left."""

    front: Front
    left: dict[str, object] = field(
        default_factory=lambda: {"seconds_left": 3000, "reason": "idle", "warn_seconds": 600}
    )
    script: str = ""
    files: dict[str, int] = field(default_factory=dict)
    """In its home, with the sizes that it says they have."""
    asked: list[str] = field(default_factory=list)
    reports: int = 0
    """How often the page said that somebody is at work in it."""

    def __post_init__(self) -> None:
        self.front.sandbox(KEY, self._page)
        self.front.agent(self._agent)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front.port}/user/{KEY}"

    def _page(self, request: Request) -> None:
        path = request.path.partition(KEY)[2]
        self.asked.append(path)
        if path.startswith("/api/contents"):
            listed = [{"path": name, "type": "file", "size": size} for name, size in self.files.items()]
            request.answer_json({"content": listed})
        elif path.startswith("/files/"):
            request.answer(200, b"what is in it")
        else:
            request.answer(200, PAGE.format(self.script).encode(), HTML)

    def _agent(self, request: Request) -> None:
        if request.command == "POST":
            self.reports += 1
            if self.reports > 1 and self.left["reason"] == "idle":
                self.left["seconds_left"] = 3600
        request.answer_json({"warn_seconds": 600, "report_seconds": 30, **self.left})

    def end(self) -> None:
        shutil.rmtree(self.front.run_dir / "user" / KEY)


@pytest.fixture
def server(front: Front) -> Server:
    return Server(front)


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: BrowserContext, server: Server) -> Iterator[Open]:
    pages = []

    def visit(path: str = "/lab", *, own_clock: bool = True) -> Page:
        page = browser.new_page()
        pages.append(page)
        if own_clock:
            page.clock.install()
        with page.expect_response(lambda answer: "/-/left/" in answer.url and answer.request.method == "GET"):
            page.goto(server.url + path)
        return page

    yield visit
    for page in pages:
        page.close()


def warning(page: Page) -> Locator:
    return page.get_by_role("status", name="About this notebook")


def ended(page: Page) -> Locator:
    return page.get_by_role("alert", name="About this notebook")


def ask_again(page: Page) -> None:
    """Have the page ask the node at once, also while it still waits for an answer: its clock would not move then."""
    page.evaluate("dispatchEvent(new Event('online'))")


def test_a_page_with_much_time_left_shows_nothing(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#tmpnb-notice")).to_have_count(0)


def test_the_person_is_warned_with_the_minutes_left_once_it_is_time(server: Server, open_page: Open) -> None:
    server.left["seconds_left"] = 640
    page = open_page()
    server.left["seconds_left"] = 590

    page.clock.run_for(MINUTE)

    expect(warning(page)).to_contain_text("This notebook ends in 10 minutes.")


def test_an_idle_notebook_is_kept_by_one_click(server: Server, open_page: Open) -> None:
    server.left["seconds_left"] = 200
    page = open_page()
    expect(warning(page)).to_contain_text("Nobody has used it for a while.")
    reports = server.reports

    warning(page).get_by_role("button", name="Keep it").click()

    expect(warning(page)).to_have_count(0)
    wait_until(lambda: server.reports > reports, 5, "the report")
    assert server.left["seconds_left"] == 3600


def test_whoever_opens_a_page_or_uses_it_is_reported_now_and_again_and_a_page_at_rest_is_not(
    server: Server, open_page: Open
) -> None:
    server.script = "setInterval(() => document.dispatchEvent(new KeyboardEvent('keydown')), 1000)"
    page = open_page()
    wait_until(lambda: server.reports == 1, 5, "the report of whoever opens a page, who is at work in it")
    page.clock.run_for(10 * MINUTE)
    assert server.reports == 1, "what a page does to itself is nobody's work"

    for key in "print(1)":
        page.keyboard.press(key)
    wait_until(lambda: server.reports == 2, 5, "the report of the first key")
    page.clock.run_for(MINUTE)
    wait_until(lambda: server.reports == 3, 5, "the report of the later ones")
    page.clock.run_for(MINUTE)
    assert server.reports == 3


def test_somebody_at_work_in_a_page_within_a_page_is_reported_too(server: Server, open_page: Open) -> None:
    page = open_page()
    page.evaluate("document.body.innerHTML = '<iframe src=tree></iframe>'")
    inner = page.frame_locator("iframe").locator("body")
    expect(inner).to_have_text("Work")
    wait_until(lambda: server.reports == 2, 5, "the report of the inner page")
    page.clock.run_for(MINUTE)

    inner.click()

    wait_until(lambda: server.reports == 3, 5, "the report of a click in it")


def test_a_notebook_whose_time_is_up_cannot_be_kept_and_the_person_is_told_to_download(
    server: Server, open_page: Open
) -> None:
    server.left.update(seconds_left=100, reason="max_age")
    page = open_page()
    expect(warning(page)).to_contain_text("This notebook ends in 2 minutes.")
    expect(warning(page)).to_contain_text("Download what you want to keep.")
    expect(warning(page).get_by_role("button", name="Keep it")).to_have_count(0)


def test_a_warning_can_be_sent_away_by_keyboard_and_comes_back_for_the_last_minute(
    server: Server, open_page: Open
) -> None:
    server.left.update(seconds_left=200, reason="max_age")
    page = open_page()
    expect(warning(page)).to_be_visible()
    page.keyboard.press("Tab")  # to the download
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(warning(page)).to_have_count(0)
    page.clock.run_for(MINUTE)
    expect(warning(page)).to_have_count(0)

    server.left["seconds_left"] = 50
    ask_again(page)

    expect(warning(page)).to_contain_text("in less than a minute")


def test_an_open_page_says_that_its_sandbox_has_ended_and_offers_a_fresh_one_at_the_same_path(
    server: Server, open_page: Open
) -> None:
    page = open_page("/lab/tree/Plot.ipynb?x=1")
    server.end()

    page.clock.run_for(MINUTE)

    fresh = ended(page).get_by_role("link", name="Open a fresh one")
    expect(fresh).to_have_attribute("href", "https://entry.example.org/fresh/lab/tree/Plot.ipynb?x=1")
    expect(page.get_by_text("Work")).to_be_visible()


def test_a_request_of_the_page_that_meets_the_end_is_noticed_before_the_next_look(
    server: Server, open_page: Open
) -> None:
    page = open_page(own_clock=False)
    # As JupyterLab does.
    page.evaluate("setInterval(async () => (await fetch('api/kernels')).text(), 100)")

    server.end()

    expect(ended(page)).to_be_visible(timeout=MINUTE / 4)


def test_a_node_that_does_not_answer_for_a_while_is_no_end(server: Server, open_page: Open) -> None:
    page = open_page()
    server.front.servers[-1].stop()
    with page.expect_response(lambda answer: answer.status == 503):
        page.clock.run_for(MINUTE)
    expect(page.locator("#tmpnb-notice")).to_have_count(0)


LASTS = {"seconds_left": 3000, "most_seconds_left": 7200, "idle_seconds": 3600}


def test_a_label_says_how_long_it_lasts_and_opens_what_can_be_done_about_it(server: Server, open_page: Open) -> None:
    server.left.update(LASTS)
    page = open_page()
    label = page.get_by_role("complementary", name="Temporary notebook")
    expect(label).to_contain_text("Temporary · 2 h left")

    label.get_by_role("button", name="Temporary").click()

    expect(warning(page)).to_contain_text("It ends in 2 h at the latest, and after 1 h in which nobody uses it.")
    page.clock.run_for(MINUTE)
    warning(page).get_by_role("button", name="Dismiss").click()
    expect(warning(page)).to_have_count(0)
    label.get_by_role("button", name="Hide this label").click()
    page.clock.run_for(MINUTE)
    expect(label).to_have_count(0)


def test_the_tab_says_that_it_is_temporary_whatever_title_the_page_takes(open_page: Open) -> None:
    page = open_page()
    page.wait_for_function("document.title === 'A page · temporary'")
    page.evaluate("document.title = 'Plot.ipynb'")
    page.wait_for_function("document.title === 'Plot.ipynb · temporary'")
    icons = page.locator("link[rel=icon]").evaluate_all("all => all.map((each) => each.href.slice(0, 18))")
    assert icons == ["data:,", "data:image/svg+xml"], "the page's own icon for while something runs is left to it"


MODAL = """
  document.body.insertAdjacentHTML("beforeend", "<dialog><button>Ok</button></dialog>");
  const dialog = document.querySelector("dialog");
  // As JupyterLab's: the focus is drawn back, and clicks beside it are nobody's.
  const draw = (event) => { if (!dialog.contains(event.target)) dialog.firstChild.focus(); };
  document.addEventListener("focus", draw, true);
  for (const kind of ["mousedown", "click", "keydown"])
    dialog.addEventListener(kind, (event) => { event.preventDefault(); event.stopPropagation(); }, true);
  dialog.showModal();
"""


def test_the_end_is_told_above_a_modal_dialog_of_the_page_and_can_be_used_there(
    server: Server, open_page: Open
) -> None:
    page = open_page()
    server.end()
    page.clock.run_for(MINUTE)
    expect(ended(page)).to_be_visible()

    page.evaluate(f"() => {{ {MODAL} }}")

    # Playwright clicks only what lies on top.
    page.keyboard.press("Shift+Tab")
    ended(page).get_by_role("button", name="Dismiss").click()
    expect(ended(page)).to_have_count(0)


def test_the_end_outlives_a_dialog_that_it_was_shown_in(server: Server, open_page: Open) -> None:
    page = open_page()
    page.evaluate(f"() => {{ {MODAL} }}")
    server.end()
    page.clock.run_for(MINUTE)
    expect(ended(page)).to_be_visible()
    page.evaluate("document.querySelector('dialog').remove()")
    expect(ended(page)).to_be_visible()


def test_what_is_too_large_for_the_archive_is_named(server: Server, open_page: Open) -> None:
    server.left.update(LASTS)
    server.files = {"small.csv": 13, "Daten/größer.csv": 400_000_000}
    page = open_page()
    page.get_by_role("button", name="Temporary").click()
    with page.expect_download() as download:
        warning(page).get_by_role("button", name="Download everything").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["small.csv"]
        assert archive.read("small.csv") == b"what is in it"
    expect(warning(page)).to_contain_text(
        "1 file packed into notebooks.zip. Left out, too many, too large or unreadable: Daten/größer.csv."
    )
    assert not [path for path in server.asked if path.startswith("/files/Daten")]


def test_a_page_in_a_frame_that_gets_no_storage_has_one_that_forgets(
    server: Server, site: Site, browser: BrowserContext
) -> None:
    server.script = (
        "localStorage.setItem('a', 'b'); sessionStorage.own = 'c';"
        "addEventListener('load', () => document.body.textContent ="
        " [localStorage.a, localStorage.length, sessionStorage.getItem('own'), localStorage.none,"
        "  Object.keys(localStorage)].join(' '));"
    )
    site.page = f'<!doctype html><iframe id="f" src="{server.url}/lab"></iframe>'
    page = browser.new_page()
    page.goto(site.url)
    expect(page.frame_locator("#f").locator("body")).to_have_text("b 1 c a")
    page.close()


def test_without_the_setting_no_other_site_may_embed(site: Site, browser: BrowserContext) -> None:
    with run_nginx() as front:
        server = Server(front)
        site.page = f'<!doctype html><iframe id="f" src="{server.url}/lab"></iframe>'
        page = browser.new_page()
        with page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text):
            page.goto(site.url)
        expect(page.frame_locator("#f").get_by_text("Work")).to_have_count(0)
        page.close()


def test_what_the_operators_say_is_shown_as_text_until_it_is_sent_away(server: Server, open_page: Open) -> None:
    server.left["say"] = "We stop at <b>18:00</b><img src=x onerror=document.title='taken'>"
    page = open_page()
    expect(warning(page)).to_contain_text("From the operators: We stop at <b>18:00</b><img src=x")
    assert page.title() != "taken"

    warning(page).get_by_role("button", name="Dismiss").click()
    expect(warning(page)).to_have_count(0)
    page.clock.run_for(MINUTE)
    expect(warning(page)).to_have_count(0)

    server.left["say"] = "We stop at 17:00"
    ask_again(page)
    expect(warning(page)).to_contain_text("We stop at 17:00")
    server.left["say"] = ""
    ask_again(page)
    expect(warning(page)).to_have_count(0)


def test_a_warning_goes_before_what_the_operators_say(server: Server, open_page: Open) -> None:
    server.left |= {"say": "We stop at 18:00", "seconds_left": 200}
    page = open_page()
    expect(warning(page)).to_contain_text("This notebook ends in 4 minutes.")
    warning(page).get_by_role("button", name="Dismiss").click()
    page.clock.run_for(MINUTE)
    expect(warning(page)).to_contain_text("We stop at 18:00")
