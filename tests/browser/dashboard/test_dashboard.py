"""What an operator sees and does on the dashboard, in Chromium."""

from __future__ import annotations

from pathlib import Path

import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from redirector.placing.outcomes import Placed
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.seat import ADMIN_TOKEN, Seat, seat

SOON = 15_000
"""Milliseconds in which a change has to show: a poll, a tick of the sync loop, two seconds of the page."""


def card(name: str) -> str:
    return f"[data-node={name}]"


def press(page: Page, name: str, verb: str, reason: str = "") -> None:
    page.click(f"{card(name)} [data-verb={verb}]")
    page.fill("dialog [name=reason]", reason)
    page.click("dialog .primary")


def test_logging_in_needs_the_token(browser: BrowserContext, fleet: Seat) -> None:
    page = browser.new_page()
    page.goto(f"{fleet.url}/dashboard")
    page.fill("[name=token]", "a-wrong-token-0123456789")
    page.click("text=Log in")
    expect(page.get_by_role("alert")).to_have_text("This token does not open the dashboard.")
    page.fill("[name=token]", ADMIN_TOKEN)
    page.click("text=Log in")
    expect(page.locator(".node")).to_have_count(2, timeout=SOON)
    page.click("text=Log out")
    expect(page.locator("[name=token]")).to_be_visible()
    page.close()


def test_a_visitor_shows_without_a_reload(page: Page, fleet: Seat) -> None:
    expect(page.locator("#claimed")).to_have_text("0")
    assert isinstance(fleet.place(), Placed)
    expect(page.locator("#claimed")).to_have_text("1", timeout=SOON)
    expect(page.locator("#available")).to_have_text("11 of 12")
    expect(page.locator(".slots[aria-label='1 claimed, 5 ready']")).to_have_count(1)
    expect(page.locator("figure[data-chart=placed] b")).to_have_text("1 / h", timeout=SOON)


def test_a_drain_is_watched_until_its_last_session_has_ended(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    busy = nodes.add("busy", capacity=8, ready=4, claimed=2)
    fleet.add(busy)
    expect(page.locator(card("busy"))).to_be_visible(timeout=SOON)
    press(page, "busy", "drain", "new kernel")
    drained = page.locator(card("busy"))
    expect(drained).to_have_class("node draining", timeout=SOON)
    expect(drained.locator(".why")).to_contain_text("new kernel; 2 left")
    expect(drained.locator(".slots")).to_have_attribute("aria-label", "2 claimed, 6 draining")
    busy.claimed = 0
    expect(drained).to_have_class("node drained", timeout=SOON)
    expect(page.locator(".events")).to_contain_text("new kernel by ann")
    press(page, "busy", "resume")
    expect(drained).to_have_class("node up", timeout=SOON)


def test_a_node_that_dies_is_seen_and_one_that_returns_as_well(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    mortal = nodes.add("mortal")
    fleet.add(mortal)
    expect(page.locator(card("mortal"))).to_have_class("node up", timeout=SOON)
    nodes.die(mortal)
    expect(page.locator(card("mortal"))).to_have_class("node down", timeout=SOON)
    expect(page.locator("#alarms")).to_contain_text("mortal is down", timeout=SOON)
    assert page.locator(".node").first.get_attribute("data-node") == "mortal", "trouble comes first"
    nodes.start(mortal)
    expect(page.locator(card("mortal"))).to_have_class("node up", timeout=SOON)
    expect(page.locator("#alarms")).to_be_empty(timeout=SOON)


def test_a_guard_says_why_and_offers_to_insist(page: Page, fleet: Seat) -> None:
    press(page, "n1", "drain")
    expect(page.locator(card("n1"))).to_have_class("node drained", timeout=SOON)
    expect(page.locator("dialog .force")).not_to_be_visible()
    press(page, "n2", "drain")
    expect(page.locator("dialog .trouble")).to_contain_text("last node that takes visitors")
    page.check("dialog [name=insist]")
    page.click("dialog .primary")
    expect(page.locator(card("n2"))).to_have_class("node drained", timeout=SOON)
    assert fleet.worker.registry.all()["n2"].intent == "draining"


def test_a_node_with_sessions_is_not_removed_by_one_click(page: Page, fleet: Seat) -> None:
    assert isinstance(fleet.place(), Placed)
    expect(page.locator("#claimed")).to_have_text("1", timeout=SOON)
    busy = page.locator(".node:has([aria-label^='1 claimed'])").get_attribute("data-node") or ""
    press(page, busy, "remove")
    expect(page.locator("dialog .trouble")).to_contain_text("has one session")
    page.click("dialog .plain")
    assert busy in fleet.worker.registry.all()
    other = "n2" if busy == "n1" else "n1"
    press(page, other, "remove")
    expect(page.locator("dialog .trouble")).to_be_hidden(timeout=SOON)
    expect(page.locator(card(other))).to_have_count(0, timeout=SOON)


def test_a_redirector_that_does_not_answer_leaves_its_last_picture(page: Page) -> None:
    def fall_silent(route: Route) -> None:
        route.abort()

    page.route("**/fleet.json", fall_silent)
    expect(page.locator("#live")).to_contain_text("no answer; this is the picture of", timeout=SOON)
    expect(page.locator(".node")).to_have_count(2)
    page.unroute("**/fleet.json")
    expect(page.locator("#live")).to_have_text("live", timeout=SOON)


def test_what_nodes_say_is_text_and_never_part_of_the_page(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\">"
    fleet.add(nodes.add("evil", image=evil, problem=evil))
    expect(page.locator(f"{card('evil')} .about")).to_contain_text("<img", timeout=SOON)
    assert page.locator("main img").count() == 0
    assert page.title() != "owned"


def test_two_hundred_nodes_have_a_card_each_and_can_be_searched(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    fleet.add(*(nodes.start(FakeNode(f"many-{number}", capacity=40, ready=20)) for number in range(198)))
    expect(page.locator(".node")).to_have_count(200, timeout=2 * SOON)
    expect(page.locator("#nodes")).to_have_class("nodes dense")
    page.fill("#find", "many-17")
    expect(page.locator(".node")).to_have_count(11)
    page.fill("#find", "nothing-like-it")
    expect(page.locator("#nothing")).to_have_text("No node matches.")


def test_a_phone_sees_all_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator(f"{card('n1')} [data-verb=drain]")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 860})


def test_keyboards_reach_every_button(page: Page) -> None:
    page.focus("#order")
    page.keyboard.press("Tab")  # the node's own page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.verb") == "drain"
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).not_to_be_visible()


def test_nothing_is_fetched_from_elsewhere_and_nothing_complains(browser: BrowserContext, fleet: Seat) -> None:
    page = browser.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{fleet.url}/dashboard")
    page.fill("[name=token]", ADMIN_TOKEN)
    page.click("text=Log in")
    page.wait_for_selector(".live.ok")
    page.close()
    assert all(url.startswith((fleet.url, "data:")) for url in asked), asked
    assert not said


def test_a_session_that_has_ended_leads_back_to_the_form(page: Page, browser: BrowserContext) -> None:
    browser.clear_cookies()
    expect(page.locator("[name=token]")).to_be_visible(timeout=SOON)


def test_the_waiting_room_shows_while_somebody_waits(page: Page, fleet: Seat) -> None:
    expect(page.locator("#room")).to_be_hidden()
    while isinstance(fleet.place(), Placed):
        pass
    for _ in range(2):
        assert requests.post(f"{fleet.url}/api/spawn", json={"wait": True}, timeout=10).status_code == 202
    expect(page.locator("#room li")).to_contain_text("default2 waitingthe first for", timeout=SOON)
    expect(page.locator("#waiting")).to_have_text("2")
    expect(page.locator("#room")).to_be_hidden(timeout=SOON)


def more(page: Page, name: str, verb: str) -> None:
    page.click(f"{card(name)} summary")
    page.click(f"{card(name)} [data-verb={verb}]")


def test_a_long_name_is_shown_whole(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    name = "a-node-with-a-name-of-sixty-three-letters-which-is-the-longest-1"[:63].strip("-")
    fleet.add(nodes.add(name))
    heading = page.locator(f"{card(name)} h3")
    expect(heading).to_have_text(name, timeout=SOON)
    assert heading.evaluate("(each) => each.scrollWidth <= each.clientWidth")


def test_search_and_filters_stay_in_the_address(page: Page) -> None:
    press(page, "n1", "drain", "a new disk")
    press(page, "n1", "resume")
    # While it is open, nothing beside it takes what is typed.
    expect(page.locator("dialog")).not_to_be_visible(timeout=SOON)
    page.fill("#find", "n2")
    page.select_option("#order", "name")
    page.fill("#event-node", "n1")
    expect(page.locator("#events")).not_to_contain_text("n2", timeout=SOON)
    page.reload()
    expect(page.locator(".node")).to_have_count(1, timeout=SOON)
    expect(page.locator("#order")).to_have_value("name")
    expect(page.locator("#events")).to_contain_text("a new disk")
    expect(page.locator("#events")).not_to_contain_text("n2")
    page.fill("#event-until", "2020-01-01T00:00")
    expect(page.locator("#events")).to_have_text("Nothing has happened there then.", timeout=SOON)
    page.click("text=Back to all events")
    expect(page.locator("#events")).to_contain_text("n2", timeout=SOON)
    assert "event-" not in page.url
    page.go_back()
    expect(page.locator("#event-node")).to_have_value("n1")


def test_an_event_leads_to_its_nodes_events(page: Page) -> None:
    page.click("#events button:text-is('n2') >> nth=0")
    expect(page.locator("#event-node")).to_have_value("n2")
    expect(page.locator("#events b").filter(has_text="n1")).to_have_count(0, timeout=SOON)


def test_times_name_their_zone(page: Page) -> None:
    shown = page.locator("#events time").first.inner_text()
    assert any(mark in shown for mark in ("UTC", "GMT")) or shown.split()[-1].isalpha(), shown
    expect(page.locator("#event-zone")).not_to_be_empty()


def test_a_node_is_added_by_mouse(page: Page, nodes: FakeNodes) -> None:
    node = nodes.add("n3")
    page.click("#add")
    page.fill("dialog [name=url]", node.url)
    page.fill("dialog [name=token]", "a-wrong-token-0123456789")
    page.click("dialog .primary")
    expect(page.locator("dialog .trouble")).to_contain_text("does not accept this token")
    page.fill("dialog [name=token]", node.token)
    page.click("dialog .primary")
    expect(page.locator(card("n3"))).to_have_class("node up", timeout=SOON)


def test_a_selftest_by_mouse_says_what_it_came_to(page: Page) -> None:
    more(page, "n1", "selftest")
    page.click("dialog .primary")
    expect(page.locator("dialog .steps")).to_have_text("Passed: a cell ran")
    page.click("dialog .plain")
    expect(page.locator("dialog")).not_to_be_visible()


def test_a_roll_by_mouse_goes_on_until_the_node_has_proven_itself(page: Page) -> None:
    more(page, "n1", "roll")
    page.fill("dialog [name=image]", "another/image")
    page.click("dialog .primary")
    expect(page.locator("dialog .steps li").last).to_have_text("n1 runs another/image", timeout=SOON)
    expect(page.locator("dialog .primary")).to_be_hidden()
    page.click("dialog .plain")
    expect(page.locator(f"{card('n1')} .about")).to_contain_text("another/image", timeout=SOON)


def test_a_rotation_by_mouse_replaces_a_node(page: Page, nodes: FakeNodes) -> None:
    node = nodes.add("n3", capacity=6, ready=6)
    more(page, "n1", "rotate")
    page.fill("dialog [name=url]", node.url)
    page.fill("dialog [name=token]", node.token)
    page.click("dialog .primary")
    expect(page.locator("dialog .steps li").last).to_contain_text("n1 is out of the fleet", timeout=3 * SOON)
    page.click("dialog .plain")
    expect(page.locator(card("n1"))).to_have_count(0, timeout=SOON)
    expect(page.locator(card("n3"))).to_have_class("node up", timeout=SOON)


def test_other_pools_images_are_shown(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n3", pools={"r": 3}))
    expect(page.locator(f"{card('n3')} .pools li")).to_have_count(2, timeout=SOON)
    expect(page.locator(f"{card('n3')} .pools")).to_contain_text("default an/image")


def test_sessions_are_listed_and_ended_by_mouse(page: Page, fleet: Seat) -> None:
    assert isinstance(fleet.place(), Placed)
    page.click("#open-sessions")
    rows = page.locator("#sessions tbody tr")
    expect(rows).to_have_count(1)
    expect(page.locator("#sessions .quiet")).to_have_text("one session")
    rows.locator("button").click()
    page.fill("dialog [name=reason]", "it mines")
    page.click("dialog .primary")
    expect(rows).to_have_count(0)
    expect(page.locator("#events")).to_contain_text("it mines by ann", timeout=SOON)


def test_any_session_of_thousands_is_found_by_node_or_name(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    """Also one that is none of the oldest: all sessions are searched, not the rows that are shown."""
    crowd = nodes.add("crowd", capacity=1200)
    crowd.nameless = [f"s{number:04}" for number in range(1200)]
    fleet.add(crowd)
    page.click("#open-sessions")
    rows, note = page.locator("#sessions tbody tr"), page.locator("#sessions .quiet")
    expect(note).to_have_text("1200 sessions, the 500 oldest are shown")
    expect(rows).to_have_count(500)
    page.fill("#find-session", "CROWD s1199")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("s1199")
    expect(note).to_have_text("1 of 1200 sessions")
    page.fill("#find-session", "")
    expect(rows).to_have_count(500)


def test_every_state_of_a_slot_is_in_the_legend(page: Page) -> None:
    assert page.locator(".legend li").all_text_contents() == [
        "claimed", "ready", "starting", "ending", "draining", "free",
    ]  # fmt: skip


def test_a_card_shows_the_tag_of_a_long_image_name(page: Page, fleet: Seat, nodes: FakeNodes) -> None:
    image = "registry.example.org/a-department/its-course/notebook-with-everything:2026.11-rc1"
    fleet.add(nodes.add("n3", image=image))
    about = page.locator(f"{card('n3')} .about")
    expect(about).to_contain_text(":2026.11-rc1", timeout=SOON)
    assert about.evaluate("line => line.scrollWidth <= line.clientWidth"), "it is not cut off"


def test_something_is_said_by_mouse(page: Page) -> None:
    page.click("#say")
    page.fill("dialog [name=text]", "We stop at 18:00")
    page.click("dialog .primary")
    expect(page.locator("dialog .steps")).to_have_text("Shown on n1, n2.")
    expect(page.locator("dialog .instead")).to_be_hidden()
    page.click("dialog .plain")
    expect(page.locator("#events")).to_contain_text("We stop at 18:00 by ann", timeout=SOON)


def test_what_is_said_is_taken_back_by_a_button_of_its_own_and_never_by_an_empty_line(
    page: Page, two: list[FakeNode]
) -> None:
    page.click("#say")
    page.fill("dialog [name=text]", "We stop at 18:00")
    page.press("dialog [name=text]", "Enter")
    expect(page.locator("dialog .steps")).to_have_text("Shown on n1, n2.")
    page.click("dialog .plain")
    page.click("#say")
    page.press("dialog [name=text]", "Enter")
    expect(page.locator("dialog .steps")).to_be_empty()
    assert {node.said for node in two} == {"We stop at 18:00"}
    page.click("dialog .instead")
    expect(page.locator("dialog .steps")).to_have_text("Taken back on n1, n2.")
    assert {node.said for node in two} == {""}


def test_a_node_of_the_fleet_takes_anothers_place_only_after_a_tick(
    page: Page, fleet: Seat, two: list[FakeNode]
) -> None:
    page.click(f"{card('n1')} summary")
    page.click(f"{card('n1')} [data-verb=rotate]")
    page.fill("dialog [name=url]", two[1].url)
    page.click("dialog .primary")
    expect(page.locator("dialog .trouble")).to_contain_text("n2 is in the fleet already", timeout=SOON)
    assert fleet.worker.registry.all()["n1"].intent == "active"
    page.check("dialog [name=insist]")
    page.click("dialog .primary")
    expect(page.locator("dialog .steps")).to_contain_text("selftest passed", timeout=SOON)
    page.click("dialog .plain")


def test_a_screen_that_only_reads_has_no_button_that_changes_anything(
    browser: BrowserContext, nodes: FakeNodes, tmp_path: Path
) -> None:
    browser.clear_cookies()
    with seat(tmp_path / "screen", TMPNB_READ_TOKEN="a-token-that-only-reads") as fleet:
        fleet.add(nodes.add("n1"))
        page = browser.new_page()
        page.goto(f"{fleet.url}/dashboard")
        page.fill("[name=token]", "a-token-that-only-reads")
        page.click("text=Log in")
        expect(page.locator(".node")).to_have_count(1, timeout=SOON)
        assert page.locator("[data-verb=drain], [data-verb=remove], [data-verb=roll]").count() == 0
        expect(page.locator("#add")).to_be_hidden()
        expect(page.locator("#say")).to_be_hidden()
        page.click(f"{card('n1')} summary")
        expect(page.locator(f"{card('n1')} [data-verb=sessions]")).to_be_visible()
        page.close()


def test_a_content_is_added_copied_refreshed_and_removed(
    page: Page, fleet: Seat, browser: BrowserContext, tmp_path: Path
) -> None:
    browser.grant_permissions(["clipboard-read", "clipboard-write"], origin=fleet.url)
    page.click("#open-contents")
    expect(page.locator("#contents .quiet")).to_have_text("0 contents")
    page.click("#add-content")
    page.fill("dialog [name=name]", "Spring")
    page.fill("dialog [name=source]", f"dir:{tmp_path}")
    page.click("dialog .primary")
    expect(page.locator("dialog .trouble")).to_contain_text("lower-case")
    page.fill("dialog [name=name]", "spring")
    page.fill("dialog [name=open]", "lesson 1.ipynb")
    page.fill("dialog [name=reason]", "term begins")
    page.click("dialog .primary")
    expect(page.locator("dialog .steps")).to_contain_text("shown only here")
    page.click("dialog .plain")
    row = page.locator("[data-content=spring]")
    expect(row).to_contain_text("being fetched")
    expect(page.locator("#events")).to_contain_text("term begins", timeout=SOON)
    row.get_by_text("Copy link").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{fleet.url}/c/spring"
    row.get_by_text("Refresh").click()
    page.click("dialog .primary")
    row.get_by_text("Remove").click()
    page.click("dialog .primary")
    expect(row).to_have_count(0)


def test_links_are_allowed_and_denied(page: Page) -> None:
    page.click("#open-contents")
    page.click("#allow-content")
    page.fill("dialog [name=pattern]", "dir:/etc")
    page.click("dialog .primary")
    expect(page.locator("dialog .trouble")).to_contain_text("directory")
    page.fill("dialog [name=pattern]", "gh:org/*")
    page.click("dialog .primary")
    patterns = page.locator("#contents .patterns li")
    expect(patterns).to_contain_text("gh:org/* in pool default")
    patterns.get_by_text("Deny").click()
    page.click("dialog .primary")
    expect(patterns).to_have_count(0)
