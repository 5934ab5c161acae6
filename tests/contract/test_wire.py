"""The wire format: what one side writes the other reads; what a stranger sends is at worst a `JsonError`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.web import MAX_BODY
from tests.support.wire_bytes import packed
from tmpnb_common.claims import TICKETS_AT_ONCE, Claim, Refusal, parse_claim, parse_claims, parse_refusal
from tmpnb_common.json_object import JsonError
from tmpnb_common.paths import PATH_LIMIT, as_written, path_problem
from tmpnb_common.wire import NodeStats, PoolStats, parse_stats

COUNTS = st.integers(0, 2**40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
NAMES = TEXTS.filter(bool)
POOLS = st.builds(PoolStats, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, TEXTS, TEXTS, content=TEXTS)
NODES = st.builds(
    NodeStats,
    available=COUNTS,
    capacity=COUNTS,
    version=TEXTS,
    container_image=TEXTS,
    protocol=st.just(1),
    node_id=NAMES,
    boot_id=NAMES,
    name=TEXTS,
    seq=COUNTS,
    state=st.sampled_from(["active", "draining"]),
    generation=COUNTS,
    starting=COUNTS,
    startable=COUNTS,
    claimed=COUNTS,
    claims_total=COUNTS,
    refused_total=COUNTS,
    max_age_seconds=COUNTS,
    holds_content=st.booleans(),
    pools=st.dictionaries(TEXTS, POOLS, max_size=3),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
OURS = NodeStats(available=3, capacity=5, protocol=1, node_id="n", boot_id="b").dump()
TMPNB = {"available": 3, "capacity": 5, "version": "0.2.0", "container_image": "jupyter/demo"}


def test_stats_of_a_redirector_are_no_nodes_so_that_none_places_on_itself() -> None:
    with pytest.raises(JsonError, match="redirector"):
        parse_stats(packed({"available": 3, "capacity": 5, "hosts": {"http://n1": {}}, "version": "0.1.0"}))


@given(NODES)
def test_stats_come_back_as_they_were_written(stats: NodeStats) -> None:
    assert parse_stats(packed(stats.dump())) == stats


@given(JSON)
def test_any_other_json_is_a_wire_error_or_stats(raw: object) -> None:
    with contextlib.suppress(JsonError):
        assert isinstance(parse_stats(packed(raw)), NodeStats)


@given(st.dictionaries(st.sampled_from(sorted(OURS)), JSON))
def test_a_field_of_another_type_is_a_wire_error_or_fits(wrong: dict[str, Any]) -> None:
    try:
        parsed = parse_stats(packed({**OURS, **wrong}))
    except JsonError:
        return
    assert isinstance(parsed.available, int)
    assert isinstance(parsed.node_id, str)
    assert parsed.state in ("active", "draining")


def test_an_original_tmpnb_node_is_read_as_protocol_0() -> None:
    stats = parse_stats(packed(TMPNB))
    assert (stats.protocol, stats.available, stats.capacity, stats.claimed) == (0, 3, 5, 2)
    assert stats.container_image == "jupyter/demo"
    assert stats.state == "active"


def test_fields_that_a_reader_does_not_know_are_ignored() -> None:
    assert parse_stats(packed({**OURS, "weather": "fine"})) == parse_stats(packed(OURS))


@pytest.mark.parametrize(
    "change",
    [
        {"available": -1},
        {"available": True},
        {"available": "3"},
        {"available": 3.0},
        {"available": 2**63},
        {"capacity": None},
        {"state": "resting"},
        {"node_id": 7},
        {"node_id": "x" * 5000},
        {"pools": []},
        {"pools": {"default": 3}},
        {"pools": {"default": {"available": 1}}},
    ],
)
def test_a_required_field_that_is_odd_fails_the_whole(change: dict[str, Any]) -> None:
    with pytest.raises(JsonError):
        parse_stats(packed({**OURS, **change}))


@pytest.mark.parametrize("missing", ["available", "capacity", "node_id", "boot_id"])
def test_a_required_field_that_is_missing_fails_the_whole(missing: str) -> None:
    raw = {name: value for name, value in OURS.items() if name != missing}
    with pytest.raises(JsonError, match=missing):
        parse_stats(packed(raw))


def test_a_claim_says_where_the_sandbox_is() -> None:
    assert parse_claim(packed({"url": "/user/k/lab", "name": "k", "available": 4})) == Claim("/user/k/lab", "k", 4)
    assert parse_claim(packed({"url": "/user/abc/"})) == Claim("/user/abc/")
    assert parse_claim(packed({"url": "https://k.example.org/lab"})).url == "https://k.example.org/lab"


@pytest.mark.parametrize(
    "url", ["", "user/k", "//elsewhere.example/", "javascript:alert(1)", "/a\r\nSet-Cookie: x", "/\\elsewhere", 7, None]
)
def test_a_claim_without_a_usable_url_is_a_wire_error(url: object) -> None:
    with pytest.raises(JsonError):
        parse_claim(packed({"url": url}))


def test_a_claim_with_several_tickets_says_what_became_of_each() -> None:
    outcomes = [
        {"url": "/user/k/lab", "name": "k"},
        {"status": "starting", "message": "soon"},
        {"status": "bad_request", "message": "what?"},
    ]
    found = parse_claims(packed({"claims": outcomes, "available": 4}), 3)
    assert found == [Claim("/user/k/lab", "k", 4), Refusal("starting", "soon"), Refusal("bad_request", "what?")]


@pytest.mark.parametrize(
    "raw",
    [
        {"url": "/user/k/lab", "name": "k", "available": 4},
        {"claims": [{"url": "/user/k/lab"}]},
        {"claims": [], "available": 4},
        {"claims": [{"url": "//elsewhere"}], "available": 4},
        {"claims": [{"status": "resting"}], "available": 4},
        {"claims": ["/user/k/lab"], "available": 4},
        {"claims": [{"url": "/user/k/lab"}, {"url": "/user/j/lab"}], "available": 4},
    ],
)
def test_an_odd_answer_to_several_tickets_fails_the_whole(raw: object) -> None:
    with pytest.raises(JsonError):
        parse_claims(packed(raw), 1)


@pytest.mark.parametrize(
    ("status_code", "raw", "expected"),
    [
        (429, {"status": "full"}, "full"),
        (429, {}, "full"),
        (429, {"status": "starting"}, "starting"),
        (409, {"status": "draining"}, "draining"),
        (403, {"status": "forbidden"}, "forbidden"),
        (404, {"status": "unknown_pool"}, "unknown_pool"),
        (400, {"status": "bad_request"}, "bad_request"),
        (413, {"status": "bad_request"}, "bad_request"),
    ],
)
def test_a_refusal_keeps_its_reason(status_code: int, raw: object, expected: str) -> None:
    assert parse_refusal(status_code, packed(raw)) == Refusal(expected)  # type: ignore[arg-type]  # compared, not built


@pytest.mark.parametrize(
    ("status_code", "raw"),
    [(500, {}), (404, {}), (400, {}), (200, {"status": "full"}), (409, {"status": "full"}), (429, [])],
)
def test_any_other_answer_is_no_refusal_but_a_wire_error(status_code: int, raw: object) -> None:
    with pytest.raises(JsonError):
        parse_refusal(status_code, packed(raw))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "lab",
        "/lab x",
        '/lab"',
        "/lab<b>",
        "/lab\\x",
        "/lab#x",
        "/lab/\u00c4",
        "/lab/../x",
        "/lab/%2e%2E/x",
        "/lab%2F.%5cx",
        "/files/%ff.txt",
        "/files/a%00b",
        "/files/a%0d%0ab",
        "/" + "a" * PATH_LIMIT,
    ],
)
def test_what_could_not_stand_in_a_sandboxs_address_is_no_path(path: str) -> None:
    assert path_problem(path)


@pytest.mark.parametrize(
    "path", ["/lab", "/files//a", "/files/a%2Fb", "/lab/tree/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB.ipynb?q=%ff&b=a/../b"]
)
def test_whatever_else_can_is_one(path: str) -> None:
    assert not path_problem(path)


@given(st.binary().map(lambda sent: b"/lab?" + sent))
def test_any_query_can_be_written_so_that_it_may_stand_in_an_address(sent: bytes) -> None:
    written = as_written(sent)
    assert not path_problem(written[:PATH_LIMIT])
    assert as_written(written.encode()) == written, "what was encoded already stays as it was"


def test_the_longest_wishes_of_several_visitors_fit_into_one_call() -> None:
    path = as_written(b"/" + bytes(range(33, 127)) * 36)[:PATH_LIMIT]
    wish = {"ticket": "t" * 128, "path": path.ljust(PATH_LIMIT, "'")}
    assert len(json.dumps({"tickets": [wish] * TICKETS_AT_ONCE, "pool": "p" * 63})) < MAX_BODY
