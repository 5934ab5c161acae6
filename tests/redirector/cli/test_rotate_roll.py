"""The everyday jobs: replace a host, move to another image."""

from __future__ import annotations

import pytest

from tests.redirector.cli.conftest import Tmpnb
from tests.redirector.cli.fake_redirector import Answer, FakeRedirector, Request

NEW = "http://127.0.0.1:9009"
QUICK = ("--every", "0.01")


def rotate(tmpnb: Tmpnb, *arguments: str) -> tuple[int, str, str]:
    done = tmpnb("node", "rotate", "n2", NEW, "--name", "n9", *QUICK, *arguments)
    return done.exit_code, done.stdout, done.stderr


def sessions_end(fake: FakeRedirector) -> None:
    entry = fake.nodes.get("n2")
    if entry and entry["intent"] == "draining":
        entry |= {"claimed": 0, "drained": True}


def test_a_rotation_goes_from_adding_to_removing(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.on_look = sessions_end
    code, said, _ = rotate(tmpnb)
    assert code == 0
    words = ["n9: added", "its selftest passed", "n2: draining", "n2: removed", "done"]
    assert [word for word in words if word in said] == words
    assert sorted(fake.nodes) == ["n1", "n9"]


def test_a_rotation_that_is_run_again_does_nothing_twice(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.on_look = sessions_end
    rotate(tmpnb)
    before = len([request for request in fake.requests if request.method != "GET"])
    code, said, _ = rotate(tmpnb)
    assert code == 0
    assert "done" in said
    assert len([request for request in fake.requests if request.method != "GET"]) == before


def test_a_rotation_goes_on_from_where_it_stopped(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    code, _, said = rotate(tmpnb, "--timeout", "0.05")
    assert code == 4
    assert "running this again" in said
    assert fake.nodes["n2"]["intent"] == "draining"
    fake.on_look = sessions_end
    fake.nodes["n9"]["claimed"] = 1
    tests_before = len([request for request in fake.requests if request.path.endswith("/selftest")])
    assert rotate(tmpnb)[0] == 0
    assert len([request for request in fake.requests if request.path.endswith("/selftest")]) == tests_before
    assert "n2" not in fake.nodes


def test_a_new_node_that_fails_its_selftest_leaves_the_old_one_alone(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.bad_images.add("old")
    code, _, said = rotate(tmpnb)
    assert code == 1
    assert "the old node is as it was" in said
    assert fake.nodes["n2"]["intent"] == "active"


def test_a_new_node_that_never_warms_up_leaves_the_old_one_alone(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    def cold(fake: FakeRedirector) -> None:
        if "n9" in fake.nodes:
            fake.nodes["n9"] |= {"available": 0, "starting": 1}

    fake.on_look = cold
    code, _, said = rotate(tmpnb, "--warm-timeout", "0.05")
    assert code == 1
    assert "was not warm within" in said
    assert fake.nodes["n2"]["intent"] == "active"


def test_a_guard_stops_a_rotation_with_its_own_exit_code(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    def guarded(request: Request) -> Answer:
        if request.path.endswith("/drain") and not request.body.get("force"):
            return Answer(409, {"status": "too_little_free", "message": "only 3 % would be free"})
        return fake.answer(request)

    fake.answers = guarded
    fake.on_look = sessions_end
    code, _, said = rotate(tmpnb)
    assert code == 5
    assert "only 3 % would be free" in said
    assert rotate(tmpnb, "--force")[0] == 0


@pytest.mark.parametrize(
    ("old", "url", "code"),
    [("nobody", NEW, 1), ("n1", "http://127.0.0.1:8101", 2), ("n1", "not-a-url", 2), ("n1", "ftp://x", 2)],
)
def test_a_rotation_that_makes_no_sense_is_refused(
    tmpnb: Tmpnb, fake: FakeRedirector, *, old: str, url: str, code: int
) -> None:
    done = tmpnb("node", "rotate", old, url, *QUICK)
    assert done.exit_code == code
    assert sorted(fake.nodes) == ["n1", "n2"]


def test_a_node_that_never_was_is_not_out_of_the_fleet(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("node", "rotate", "nobody", "http://127.0.0.1:8101", *QUICK)
    assert done.exit_code == 1
    assert "nobody: no such node; there are: n1, n2" in done.stderr
    assert "done" not in done.stdout
    assert sorted(fake.nodes) == ["n1", "n2"]


def test_a_node_of_the_fleet_takes_anothers_place_only_if_somebody_says_so(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.on_look = sessions_end
    of_n1 = "http://127.0.0.1:8101"
    refused = tmpnb("node", "rotate", "n2", of_n1, *QUICK)
    assert refused.exit_code == 2
    assert "n1 at http://127.0.0.1:8101 is in the fleet already, and was not added to replace n2" in refused.stderr
    assert not [request for request in fake.requests if request.method != "GET"]
    agreed = tmpnb("node", "rotate", "n2", of_n1, "--yes", "--force", *QUICK)
    assert agreed.exit_code == 0
    assert sorted(fake.nodes) == ["n1"]


def test_a_node_that_was_added_for_another_rotation_needs_a_yes_too(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.on_look = sessions_end
    assert rotate(tmpnb)[0] == 0
    assert tmpnb("node", "rotate", "n1", NEW, *QUICK).exit_code == 2
    assert fake.nodes["n1"]["intent"] == "active"


def test_a_roll_moves_one_node_after_the_other_and_proves_each(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("roll", "new", *QUICK)
    assert done.exit_code == 0
    assert [line for line in done.stdout.splitlines() if "runs" in line] == [
        "n1: runs new: a cell ran",
        "n2: runs new: a cell ran",
    ]
    assert all(each["pools"]["default"]["image"] == "new" for each in fake.nodes.values())
    assert "nothing to do" in tmpnb("roll", "new", *QUICK).stdout


def test_a_roll_waits_for_an_image_that_is_fetched_and_moves_nothing_before(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    coming = {"there": False, "progress": "40 % of 300 MiB", "problem": ""}
    fake.fetches["new"] = [coming, coming, {"there": True}]
    done = tmpnb("roll", "new", *QUICK)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == ["n1: fetches new: 40 % of 300 MiB", "n1: moves to new"]


def test_a_roll_moves_nothing_to_an_image_that_cannot_be_fetched(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.fetches["new"] = [{"there": False, "problem": "manifest unknown"}]
    done = tmpnb("roll", "new", *QUICK)
    assert done.exit_code == 1
    assert "n1: manifest unknown; it was not moved" in done.stderr
    assert {each["pools"]["default"]["image"] for each in fake.nodes.values()} == {"old"}


def test_a_roll_whose_image_does_not_come_in_time_moves_nothing(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.fetches["new"] = [{"there": False, "progress": "40 % of 300 MiB, nothing for 50 s"}]
    done = tmpnb("roll", "new", *QUICK, "--timeout", "0.2")
    assert done.exit_code == 1
    assert "had not fetched new within 0 s (40 % of 300 MiB, nothing for 50 s), and was not moved" in done.stderr
    assert {each["pools"]["default"]["image"] for each in fake.nodes.values()} == {"old"}


def test_a_roll_to_what_a_node_runs_already_lets_the_fleet_want_that(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    for each in fake.nodes.values():
        each["pools"]["default"]["image"] = "new"
    assert "nothing to do" in tmpnb("roll", "new", *QUICK).stdout
    assert [request.path for request in fake.requests if request.method == "PUT"] == [
        "/api/nodes/n1/pools/default",
        "/api/nodes/n2/pools/default",
    ]


def test_a_roll_stops_at_the_first_failure_and_offers_the_way_back(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.bad_images.add("new")
    done = tmpnb("roll", "new", *QUICK)
    assert done.exit_code == 1
    assert "the kernel never answered" in done.stderr
    assert "the way back: tmpnb roll new --pool default --back" in done.stderr
    assert fake.nodes["n2"]["pools"]["default"]["image"] == "old", "no other node was touched"
    back = tmpnb("roll", "new", "--back", *QUICK)
    assert back.exit_code == 0
    assert fake.nodes["n1"]["pools"]["default"]["image"] == "old"


def test_a_roll_that_goes_on_does_not_pass_a_node_that_failed_before(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.bad_images.add("new")
    tmpnb("roll", "new", *QUICK)
    assert tmpnb("roll", "new", *QUICK).exit_code == 1
    assert fake.nodes["n2"]["pools"]["default"]["image"] == "old"
    fake.bad_images.clear()
    assert tmpnb("roll", "new", *QUICK).exit_code == 0


def test_a_roll_leaves_out_what_does_not_answer_and_says_so(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n2"] |= {"health": "down", "reason": "down: no answer"}
    done = tmpnb("roll", "new", *QUICK)
    assert done.exit_code == 3
    assert "n2 is down: no answer, and is left out" in done.stderr
    assert fake.nodes["n1"]["pools"]["default"]["image"] == "new"


def test_a_roll_moves_several_at_once_when_told_to(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    assert tmpnb("roll", "new", "--at-once", "2", *QUICK).exit_code == 0
    moved = [request.path for request in fake.requests if request.method == "PUT"]
    assert sorted(moved) == ["/api/nodes/n1/pools/default", "/api/nodes/n2/pools/default"]
