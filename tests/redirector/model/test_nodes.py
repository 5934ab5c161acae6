"""What is known of a node after polls and claims, and whether it may receive visitors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import BadRequestError
from redirector.model.health import (
    DOWN_AFTER,
    SUCCESSES_AFTER_BAD_CLAIM,
    after_bad_claim,
    after_bad_poll,
    after_good_claim,
    after_good_poll,
)
from redirector.model.node_names import checked_name, default_name, normalised_url
from redirector.model.nodes import Failure, FailureKind, Health, Seen, drained, eligibility, pending, slots
from tests.support.fleet_values import a_node, pools, seen, stats
from tmpnb_common.wire import NodeStats

NODE = a_node()
SILENT = Failure(FailureKind.TIMEOUT, "no answer within 1.5 s")
REFUSED = Failure(FailureKind.REFUSED, "connection refused")


def polled_well(before: Seen, said: NodeStats | None = None, now: float = 10.0) -> Seen:
    return after_good_poll(NODE, before, said or stats(), asked_at=now - 0.1, now=now)


def polled_badly(
    before: Seen, failure: Failure = REFUSED, *, now: float = 10.0, partition_suspected: bool = False
) -> Seen:
    return after_bad_poll(before, failure, now=now, partition_suspected=partition_suspected)


def test_a_new_node_is_joining_until_its_first_good_poll() -> None:
    assert Seen().health is Health.JOINING
    after = polled_well(Seen())
    assert (after.health, after.since, after.reason, after.asked_at) == (Health.UP, 10.0, "", 9.9)


def test_a_joining_node_that_never_answers_is_down_after_three_polls() -> None:
    first = polled_badly(Seen())
    assert (first.health, first.reason) == (Health.JOINING, "connection refused")
    assert polled_badly(polled_badly(first)).health is Health.DOWN


def test_one_bad_poll_makes_a_suspect_and_one_good_one_clears_it() -> None:
    suspect = polled_badly(seen())
    assert (suspect.health, suspect.reason, suspect.since) == (Health.SUSPECT, "connection refused", 10.0)
    assert suspect.stats == stats(), "the last picture is kept"
    assert polled_well(suspect).health is Health.UP


def test_several_bad_polls_in_a_row_take_a_node_down() -> None:
    health = [after.health for after in _badly_in_a_row(seen(), DOWN_AFTER)]
    assert health == [Health.SUSPECT, Health.SUSPECT, Health.DOWN]


def _badly_in_a_row(before: Seen, times: int) -> list[Seen]:
    states = []
    for _ in range(times):
        before = polled_badly(before)
        states.append(before)
    return states


def test_silence_takes_no_node_down_while_we_are_cut_off() -> None:
    after = seen()
    for _ in range(2 * DOWN_AFTER):
        after = polled_badly(after, SILENT, partition_suspected=True)
    assert after.health is Health.SUSPECT


def test_a_node_that_refuses_goes_down_also_while_others_are_silent() -> None:
    after = seen()
    for _ in range(DOWN_AFTER):
        after = polled_badly(after, REFUSED, partition_suspected=True)
    assert after.health is Health.DOWN


def test_a_node_that_was_down_comes_back_by_two_good_polls() -> None:
    down = seen(Health.DOWN)
    back = polled_well(down)
    assert (back.health, back.reason) == (Health.SUSPECT, "answers again")
    assert polled_well(back).health is Health.UP


def test_a_node_that_was_down_comes_back_by_one_claim_that_works() -> None:
    back = polled_well(seen(Health.DOWN))
    assert after_good_claim(back, now=11.0).health is Health.UP


def test_a_restarted_node_is_up_at_its_first_good_poll() -> None:
    for health in (Health.DOWN, Health.SUSPECT):
        after = polled_well(seen(health, successes_needed=SUCCESSES_AFTER_BAD_CLAIM), stats(boot_id="boot-2"))
        assert (after.health, after.successes_needed) == (Health.UP, 0)


def test_another_machine_behind_the_address_is_refused_with_a_reason() -> None:
    after = polled_well(seen(), stats(node_id="id-of-another"))
    assert after.health is Health.DOWN
    assert "another node answers at this address" in after.reason
    assert after.stats == stats(), "what the stranger says does not count"


def test_a_failed_claim_makes_a_suspect_that_owes_several_good_polls() -> None:
    after = after_bad_claim(seen(), "a claim failed", now=3.0)
    assert (after.health, after.reason, after.since) == (Health.SUSPECT, "a claim failed", 3.0)
    for _ in range(SUCCESSES_AFTER_BAD_CLAIM - 1):
        after = polled_well(after)
        assert after.health is Health.SUSPECT
    assert polled_well(after).health is Health.UP


@pytest.mark.parametrize("health", [Health.JOINING, Health.DOWN])
def test_claims_do_not_move_a_node_that_polls_have_not_proved(health: Health) -> None:
    assert after_bad_claim(seen(health), "late", now=3.0).health is health
    assert after_good_claim(seen(health), now=3.0).health is health


def test_since_is_when_the_health_began_not_when_it_was_last_seen() -> None:
    first = polled_badly(seen(), now=10.0)
    second = polled_badly(first, now=12.0)
    assert (second.health, second.since) == (Health.SUSPECT, 10.0)


@given(st.lists(st.sampled_from(["good", "refused", "silent", "claimed", "unclaimed"]), max_size=30), st.booleans())
def test_whatever_happens_only_an_up_node_is_without_a_reason(events: list[str], partition_suspected: bool) -> None:
    after = Seen()
    for event in events:
        match event:
            case "good":
                after = polled_well(after)
            case "refused":
                after = polled_badly(after, REFUSED, partition_suspected=partition_suspected)
            case "silent":
                after = polled_badly(after, SILENT, partition_suspected=partition_suspected)
            case "claimed":
                after = after_good_claim(after, now=10.0)
            case _:
                after = after_bad_claim(after, "a claim failed", now=10.0)
        assert (after.health is Health.UP) == (after.reason == "")
        assert after.successes_needed >= 0


def test_an_active_node_that_is_up_takes_visitors_first_and_has_no_reason() -> None:
    place = eligibility(NODE, seen())
    assert (place.order, place.reason) == ("first", "")


@pytest.mark.parametrize(
    ("node", "what", "order", "reason"),
    [
        (a_node(intent="draining"), seen(), "never", "draining"),
        (a_node(intent="draining", intent_reason="new disk"), seen(), "never", "draining: new disk"),
        (NODE, Seen(), "never", "joining: waits for its first good poll"),
        (NODE, seen(Health.DOWN, reason="connection refused"), "never", "down: connection refused"),
        (NODE, seen(said=stats(state="draining")), "never", "draining by its own operator or another fleet"),
        (a_node(generation=2), seen(said=stats(state="draining")), "never", "resumes in a moment"),
        (NODE, seen(Health.SUSPECT, reason="late"), "last", "suspect, used only when nothing else is free: late"),
    ],
)
def test_any_other_node_says_why_not(node: object, what: Seen, order: str, reason: str) -> None:
    assert isinstance(node, type(NODE))
    place = eligibility(node, what)
    assert (place.order, place.reason) == (order, reason)


def test_an_intent_is_pending_until_the_node_reports_its_generation() -> None:
    node = a_node(generation=4)
    assert pending(node, Seen())
    assert pending(node, seen(said=stats(generation=3)))
    assert not pending(node, seen(said=stats(generation=4)))
    assert not pending(node, seen(said=NodeStats(3, 5))), "an original tmpnb knows no intents"


def test_drained_means_draining_told_and_no_session_left() -> None:
    node = a_node(intent="draining", generation=2)
    assert drained(node, seen(said=stats(generation=2)))
    assert not drained(node, seen(said=stats(generation=2, claimed=1)))
    assert not drained(node, seen(said=stats(generation=1)))
    assert not drained(a_node(generation=2), seen(said=stats(generation=2)))


def test_slots_are_those_of_the_pool_that_is_asked_for() -> None:
    several = stats(7, pools=pools(default=3, gpu=4))
    assert [getattr(slots(several, name), "available", None) for name in ("default", "gpu", "none")] == [3, 4, None]


def test_a_node_without_named_pools_has_the_default_one_only() -> None:
    plain = NodeStats(3, 5)
    assert getattr(slots(plain), "available", None) == 3
    assert slots(plain, "gpu") is None


def test_a_token_is_never_shown() -> None:
    assert "secret" not in repr(a_node(token="secret"))


def test_calls_go_to_the_control_address_where_there_is_one() -> None:
    assert a_node().address == "http://n1.example.org"
    assert a_node(control_url="http://10.0.0.7").address == "http://10.0.0.7"


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("http://Node1.Example.org/", "http://node1.example.org"),
        ("HTTPS://node1.example.org:443", "https://node1.example.org"),
        ("http://node1:80//", "http://node1"),
        ("http://node1:8080/N1/", "http://node1:8080/N1"),
        ("http://[FE80::1]:81", "http://[fe80::1]:81"),
    ],
)
def test_a_url_has_one_spelling(given_url: str, url: str) -> None:
    assert normalised_url(given_url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node1",
        "ftp://node1",
        "http://",
        "http:///path",
        "http://a b",
        "http://node1?x",
        "http://node1/#a",
        "http://node1?",
        "http://node1:99999",
        "http://node1:x",
        "http://[::1",
        "http://nöde",
        "http://node1/a/../b",
        "http://node1\\evil",
        "http://node1/\n",
        "--help",
    ],
)
def test_what_is_no_address_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(BadRequestError):
        normalised_url(url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadRequestError) as caught:
        normalised_url("http://user:hunter2@node1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "n1", "a-b", "a" * 63])
def test_a_good_name_is_taken_as_it_is(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "N1", "-a", "a-", "a_b", "a" * 64, "a\n", "--all", "a/b"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(BadRequestError):
        checked_name(name)


@pytest.mark.parametrize(
    ("url", "own", "name"),
    [
        ("http://10.0.0.7:8101", "n1", "n1"),
        ("http://10.0.0.7:8101", "", "10-0-0-7-8101"),
        ("http://node.example.org/N1", "Not A Name", "node-example-org-n1"),
        ("http://" + "a" * 80, "", "a" * 63),
    ],
)
def test_the_default_name_is_the_nodes_own_or_made_from_its_url(url: str, own: str, name: str) -> None:
    assert default_name(url, own) == name
