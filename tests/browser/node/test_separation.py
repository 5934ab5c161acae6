"""In origin mode `node` a hostile sandbox's page shares its browser origin with its reader's own JupyterLab.

Each way by which browsers carry an address or data from one page of an origin to another is tried for real: a page that
has none of the node's script, as a hostile server can serve it, listens and looks; the reader's JupyterLab, and then a
page without the script, put their own address into it. The second one's must arrive, or the attack is none; the first
one's must not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.node.conftest import LabNode, lab
from tests.support.chromium import chromium, run_first_cell
from tests.support.live_entry import live_entry
from tests.support.live_node import claim
from tests.support.node_fakes import Request, UnixServer
from tests.support.other_site import Site
from tests.support.waiting import wait_until

BARE = b"<!doctype html><title>A page without a head, to which nginx adds nothing</title><body></body>"
HTML = [("Content-Type", "text/html")]
SOON = 30_000
"""Milliseconds."""

WORKER = b"""
  const all = [];
  onconnect = ({ports: [port]}) => {
    port.onmessage = ({data}) => { if (data) all.push(data); port.postMessage(all); };
  };
"""

CHANNELS = {
    # What the hostile page listens with; what a page does there with `mine`, its address; what the hostile page reads.
    "storage events": (
        "addEventListener('storage', (event) => heard.push(event.url)); localStorage.setItem('beacon', Math.random())",
        "localStorage.setItem('beacon', Math.random())",
        "",
    ),
    "what JupyterLab answers a beacon": (
        """
        addEventListener("storage", (event) => heard.push(event.url));
        localStorage.setItem("@jupyterlab/statedb:StateDB:beacon", `${Math.random()}-${Date.now()}`);
        """,
        "if (!window.jupyterapp) localStorage.setItem('answer', Math.random())",
        "",
    ),
    "localStorage": ("", "localStorage.setItem(`last ${Math.random()}`, mine)", "return JSON.stringify(localStorage)"),
    "cookies": ("", "document.cookie = `last${mine.length}=${mine}; path=/`", "return document.cookie"),
    "the cookie store": (
        "",
        "await window.cookieStore?.set(`store${mine.length}`, mine)",
        "return JSON.stringify(await cookieStore.getAll())",
    ),
    "IndexedDB": (
        "",
        "window.indexedDB && await new Promise((done) => { indexedDB.open(mine).onsuccess = done })",
        "return JSON.stringify(await indexedDB.databases())",
    ),
    "the cache API": ("", "await window.caches?.open(mine)", "return JSON.stringify(await caches.keys())"),
    "locks": (
        "",
        "navigator.locks?.request(mine, () => new Promise(() => {}))",
        "return JSON.stringify(await navigator.locks.query())",
    ),
    "private files": (
        "",
        """
        if (!StorageManager.prototype.getDirectory) return;
        await (await navigator.storage.getDirectory()).getFileHandle(encodeURIComponent(mine), { create: true });
        """,
        """
        const names = [];
        for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(decodeURIComponent(name));
        return names.join();
        """,
    ),
    "storage buckets": (
        "",
        "await navigator.storageBuckets?.open(`b${mine.split('/')[4].slice(0, 20)}`);",
        "return (await navigator.storageBuckets.keys()).join() ",
    ),
    "broadcast channels": (
        "new BroadcastChannel('news').onmessage = ({data}) => heard.push(data)",
        "new BroadcastChannel('news').postMessage(mine)",
        "",
    ),
    "shared workers": (
        "",
        "new SharedWorker(hub, 'hub').port.postMessage(mine)",
        """
        const { port } = new SharedWorker(hub, "hub");
        const answer = new Promise((done) => { port.onmessage = ({data}) => done(data.join()) });
        port.postMessage("");
        return await answer;
        """,
    ),
}


@dataclass
class Hostile:
    """A sandbox whose server is its visitor's own."""

    url: str
    name: str


@pytest.fixture(scope="module")
def node(site: Site) -> Iterator[LabNode]:
    with lab("node", site) as node:
        # Browsers keep windows apart (COOP) and say where a request comes from (Sec-Fetch) only where the way is safe:
        # with TLS, or to this address.
        node.url = node.node.url
        yield node


@pytest.fixture(scope="module")
def hostile(node: LabNode) -> Iterator[Hostile]:
    node.await_room(1)
    base = claim(node.node)
    key = base.rstrip("/").rpartition("/")[2]
    socket = node.node.run_dir / "user" / key / "jupyter.sock"
    socket.unlink()

    def respond(request: Request) -> None:
        if request.path.endswith("/api/status"):
            request.answer_json({"last_activity": "2100-01-01T00:00:00Z", "kernels": 0, "connections": 0})
        elif request.path.endswith("/hub.js"):
            request.answer(200, WORKER, [("Content-Type", "text/javascript")])
        else:
            request.answer(200, BARE, HTML)

    server = UnixServer(socket, respond)
    yield Hostile(base, key[:8])
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium() as context:
        yield context


@pytest.fixture(scope="module")
def victim(node: LabNode, browser: BrowserContext) -> Page:
    node.await_room(1)
    page = browser.new_page()
    page.goto(f"{node.url}/lab/tree/Welcome.ipynb")
    assert run_first_cell(page) == "42"
    return page


@pytest.fixture(scope="module")
def entry(node: LabNode) -> Iterator[str]:
    """The fleet's entry URL, on the node's own site."""
    with live_entry() as entry:
        body = {"url": node.url, "name": "n1", "token": node.node.token}
        assert entry.admin("POST", "/api/nodes", json=body).ok
        wait_until(lambda: entry.eligible("n1"), 60, "the node to be in use")
        yield entry.url


@pytest.fixture
def attacker(hostile: Hostile, browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{hostile.url}attack")
    page.evaluate("window.heard = []")
    yield page
    page.close()


def key_of(page: Page) -> str:
    return page.url.partition("/user/")[2].partition("/")[0]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_hostile_page_learns_nothing_by(
    channel: str, victim: Page, attacker: Page, hostile: Hostile, browser: BrowserContext
) -> None:
    listen, do, look = CHANNELS[channel]
    hub = f"{hostile.url}hub.js"
    unprotected = browser.new_page()
    unprotected.goto(f"{hostile.url}unprotected")
    attacker.evaluate(f"() => {{ {listen} }}")

    for page in (victim, unprotected):
        page.evaluate(f"async (hub) => {{ const mine = location.href; {do} }}", hub)

    read = f"async () => heard.join() + ' ' + await (async (hub) => {{ {look} }})('{hub}')"
    sign = key_of(unprotected)[:20]
    attacker.wait_for_function(f"async () => (await ({read})()).includes({json.dumps(sign)})", timeout=SOON)
    learned = attacker.evaluate(read)
    unprotected.close()
    assert key_of(victim)[:20] not in learned


def test_pages_of_one_sandbox_still_hear_of_each_others_storage(victim: Page, browser: BrowserContext) -> None:
    """JupyterLab's tabs find out in this way which of them has a workspace open: the second opens one of its own."""
    second = browser.new_page()
    second.goto(victim.url)
    second.wait_for_url("**/lab/workspaces/auto-*/**", timeout=SOON)
    second.close()


def test_a_page_finds_its_own_cookies_again(victim: Page) -> None:
    cookies = victim.evaluate("""() => {
      document.cookie = "a=1; path=/"; document.cookie = "b=2=3"; document.cookie = "a=4; max-age=60";
      document.cookie = "c=5"; document.cookie = "c=; expires=Thu, 01 Jan 1970 00:00:00 GMT";
      return document.cookie;
    }""")
    assert cookies.endswith("a=4; b=2=3")


def test_who_opened_a_sandboxs_page_in_a_window_cannot_look_into_it(attacker: Page, browser: BrowserContext) -> None:
    for opened in ("window.victim = window.open('/lab')", "window.victim = window.open(''); victim.location = '/lab'"):
        with browser.expect_page() as popup:
            attacker.evaluate(opened)
        popup.value.wait_for_url("**/user/*/lab")
        attacker.wait_for_function("() => window.victim.closed", timeout=SOON)
        assert popup.value.evaluate("window.opener") is None
        popup.value.close()


def test_a_window_of_another_sandbox_cannot_be_had_by_its_name(victim: Page, attacker: Page) -> None:
    victim.evaluate("window.name = 'lab'")
    with attacker.context.expect_page() as popup:
        address = attacker.evaluate("window.open('', 'lab').location.href")
    assert address == "about:blank"
    popup.value.close()


def test_a_redirect_in_a_frame_does_not_show_a_hostile_page_where_it_leads(
    victim: Page, attacker: Page, site: Site
) -> None:
    """As the entry leads its reader back to their own sandbox, by a cookie that the hostile page never sees."""
    site.elsewhere = victim.url
    refusal = "frame-ancestors"
    with attacker.expect_console_message(lambda message: refusal in message.text):
        attacker.evaluate(
            "address => { const frame = document.createElement('iframe'); frame.src = address;"
            " document.body.append(frame) }",
            f"{site.url}/elsewhere",
        )
    learned = attacker.evaluate(
        "() => { try { return document.querySelector('iframe').contentWindow.location.href } catch { return '' } }"
    )
    names = attacker.evaluate("performance.getEntries().map((each) => each.name).join()")
    assert key_of(victim) not in learned + names


def test_a_sandboxs_page_shows_its_own_pages_in_frames(victim: Page) -> None:
    victim.evaluate("""() => {
      const base = location.pathname.split("/lab")[0];
      document.body.insertAdjacentHTML("beforeend", `<iframe id="own" src="${base}/api/status"></iframe>`);
    }""")
    expect(victim.frame_locator("#own").locator("body")).to_contain_text("last_activity", timeout=SOON)
    victim.evaluate("document.getElementById('own').remove()")


def test_the_page_that_comes_next_in_a_tab_learns_nothing_of_the_one_before(
    node: LabNode, hostile: Hostile, browser: BrowserContext
) -> None:
    node.await_room(1)
    page = browser.new_page()
    page.goto(f"{node.url}/lab")
    before = key_of(page)
    page.evaluate("window.name = location.href; sessionStorage.last = location.href")
    page.evaluate(
        "address => { const link = document.createElement('a'); link.href = address;"
        " document.body.append(link); link.click() }",
        f"{hostile.url}attack",
    )
    page.wait_for_url("**/attack")
    learned = page.evaluate("""() => [
      window.name, document.referrer, JSON.stringify(sessionStorage), JSON.stringify(history.state),
      ...window.navigation.entries().map((each) => each.url), window.navigation.activation?.from?.url,
      ...performance.getEntries().map((each) => each.name),
    ].join()""")
    page.close()
    assert before not in learned


FRAME_HISTORY = """async (entry) => {
  const frame = document.createElement("iframe");
  const shown = (address) => new Promise((done) => { frame.onload = done; frame.src = address; });
  document.body.append(frame);
  await shown("about:blank");
  await shown(entry);
  await shown("about:blank");
  const { navigation } = frame.contentWindow;
  const learned = [...navigation.entries().map((each) => each.url), navigation.activation?.from?.url];
  frame.remove();
  return learned.join();
}"""
"""What a hostile page reads in the history of a frame after the entry was in it."""


def test_the_history_of_a_frame_does_not_tell_where_the_entry_leads_its_reader(
    node: LabNode, entry: str, attacker: Page, browser: BrowserContext
) -> None:
    node.await_room(1)
    at_home = browser.new_page()
    at_home.goto(f"{entry}/lab")

    learned = attacker.evaluate(FRAME_HISTORY, f"{entry}/lab")

    assert key_of(at_home) not in learned
    at_home.close()


def test_an_entry_in_a_hostile_frame_takes_no_sandbox_for_its_reader(node: LabNode, entry: str, attacker: Page) -> None:
    node.await_room(1)
    attacker.context.clear_cookies()
    claimed = node.node.stats()["claimed"]

    learned = attacker.evaluate(FRAME_HISTORY, entry)

    assert "/user/" not in learned.replace(attacker.url, "")
    assert node.node.stats()["claimed"] == claimed
    assert attacker.context.cookies(entry) == []


STYLES = {
    "a link": "Object.assign(document.createElement('link'), { rel: 'stylesheet', href: sheet })",
    "an import": "Object.assign(document.createElement('style'), { textContent: `@import url(${sheet})` })",
}


@pytest.mark.parametrize("way", STYLES)
def test_a_report_on_a_stylesheet_does_not_tell_where_the_entry_leads_its_reader(
    node: LabNode, entry: str, attacker: Page, browser: BrowserContext, way: str
) -> None:
    node.await_room(1)
    at_home = browser.new_page()
    at_home.goto(f"{entry}/lab")
    learned = attacker.evaluate(
        """async (address) => {
          const heard = [];
          addEventListener("securitypolicyviolation", (event) => heard.push(event.blockedURI));
          const policy = { httpEquiv: "Content-Security-Policy", content: "font-src 'none'" };
          document.head.append(Object.assign(document.createElement("meta"), policy));
          const styled = new Promise((done) => {
            const style = ((sheet) => STYLE)(address);
            style.onload = style.onerror = done;
            document.head.append(style);
          });
          await styled;
          await document.fonts.load("1em 'Glyphicons Halflings'").catch(() => {});
          await new Promise((done) => setTimeout(done));
          return heard.join();
        }""".replace("STYLE", STYLES[way]),
        f"{entry}/fresh/static/style/bootstrap.min.css",
    )
    assert key_of(at_home) not in learned
    at_home.close()
