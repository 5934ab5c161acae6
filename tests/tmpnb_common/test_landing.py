"""Which addresses lead inside: one reading for nodes and their fleet's entry, and what nodes say of theirs."""

from __future__ import annotations

import pytest

from tests.support.wire_bytes import packed
from tmpnb_common.json_object import JsonError
from tmpnb_common.landing import MOST_PREFIXES, PREFIXES, path_inside, prefixes_beyond
from tmpnb_common.wire import NodeStats, parse_stats


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
def test_every_known_application_can_be_opened_at_the_entry(prefix: str) -> None:
    assert path_inside(f"/{prefix}") == f"/{prefix}"
    assert path_inside(f"/{prefix}/a/b") == f"/{prefix}/a/b"


@pytest.mark.parametrize("path", ["/wp-login.php", "/.git/config", "/course/1", "/user", "/hub", "//lab", "/x/lab"])
def test_any_other_address_leads_nowhere(path: str) -> None:
    assert path_inside(path) is None


def test_a_node_tells_what_its_settings_name_and_where_its_pools_land_beyond_what_all_know() -> None:
    landings = ["/lab/tree/a.ipynb", "/app/?x=1", "/voila/render/b.ipynb", "/", ""]
    assert prefixes_beyond(["course", "lab"], landings) == ("app", "course")
    assert path_inside("/app/x", ("app",)) == "/app/x"
    assert len(prefixes_beyond(map(str, range(200)), [])) == MOST_PREFIXES


def test_they_travel_in_the_stats() -> None:
    stats = NodeStats(1, 1, landing_prefixes=("app", "course"))
    assert parse_stats(packed(stats.dump() | {"landing_prefixes": ["app", "course"]})) == stats
    assert parse_stats(packed({"available": 1, "capacity": 1})).landing_prefixes == ()


@pytest.mark.parametrize(
    "said", ["app", {"app": 1}, [1], ["a/b"], ["a" * 50], [""], [["app"]], [str(n) for n in range(65)], ["a\n"]]
)
def test_prefixes_that_make_no_sense_make_a_bad_answer(said: object) -> None:
    with pytest.raises(JsonError):
        parse_stats(packed({"available": 1, "capacity": 1, "landing_prefixes": said}))
