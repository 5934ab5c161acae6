from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.redirector.cli.conftest import Tmpnb
from tests.redirector.cli.fake_redirector import TOKEN, Answer, FakeRedirector, node
from tests.support.base_ports import free_ports


def test_list_shows_a_line_for_each_node(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "list")
    assert result.exit_code == 0
    assert [line.split()[:4] for line in result.stdout.splitlines()] == [
        ["NAME", "INTENT", "HEALTH", "FREE"],
        ["n1", "active", "up", "4"],
        ["n2", "active", "up", "2"],
    ]


def test_list_as_json_is_an_array_of_whole_nodes(tmpnb: Tmpnb) -> None:
    first, second = json.loads(tmpnb("node", "list", "--json").stdout)
    assert first == node("n1")
    assert (second["name"], second["claimed"]) == ("n2", 2)


def test_nothing_is_cut_when_the_output_is_no_terminal(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    name, reason = "n" * 60, "for a reason that is explained at length " * 10
    fake.nodes[name] = node(name, reason=reason.strip())
    line = tmpnb("node", "list").stdout.splitlines()[-1]
    assert name in line
    assert reason.strip() in line
    assert "\x1b" not in line


def test_a_name_that_would_steer_the_terminal_is_shown_harmlessly(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"]["reason"] = "\x1b]0;owned\x07 [bold]x[/bold]"
    shown = tmpnb("node", "list").stdout
    assert "\x1b" not in shown
    assert "[bold]x[/bold]" in shown


def test_an_empty_fleet_says_what_to_do_and_prints_an_empty_array(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes.clear()
    result = tmpnb("node", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "tmpnb node add" in result.stderr
    assert json.loads(tmpnb("node", "list", "--json").stdout) == []


def test_show_tells_intent_health_and_slots_of_every_name(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"] |= {"intent": "draining", "intent_reason": "kernel update", "intent_by": "ann", "pending": True}
    result = tmpnb("node", "show", "n1", "n2")
    assert result.exit_code == 0
    for word in ("draining", "kernel update", "ann", "has not reported", "2 free, 2 claimed"):
        assert word in result.stdout


def test_show_as_json_is_one_object_for_one_name_and_an_array_for_several(tmpnb: Tmpnb) -> None:
    assert json.loads(tmpnb("node", "show", "n1", "--json").stdout)["name"] == "n1"
    assert [each["name"] for each in json.loads(tmpnb("node", "show", "n1", "n2", "--json").stdout)] == ["n1", "n2"]


def test_an_unknown_name_is_answered_with_those_that_exist(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "show", "n9")
    assert result.exit_code == 1
    assert result.stderr == "Error: n9: no such node; there are: n1, n2\n"


def test_drain_stops_newcomers_and_keeps_the_reason(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    result = tmpnb("node", "drain", "n2", "--reason", "kernel update")
    assert (result.exit_code, result.stdout) == (0, "n2: draining, 2 sessions left\n")
    assert fake.nodes["n2"]["intent_reason"] == "kernel update"
    assert fake.requests[-1].body["by"]


def test_draining_again_is_done_already(tmpnb: Tmpnb) -> None:
    tmpnb("node", "drain", "n1")
    result = tmpnb("node", "drain", "n1")
    assert (result.exit_code, result.stdout) == (0, "n1: already draining, no sessions left\n")


def test_draining_the_last_node_is_refused_without_force(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "drain", "n1", "n2")
    assert result.exit_code == 3
    assert "n1: draining" in result.stdout
    assert "--force" in result.stderr
    assert tmpnb("node", "drain", "n2").exit_code == 5
    assert tmpnb("node", "drain", "n2", "--force").exit_code == 0


def test_drain_as_json_says_what_became_of_the_name(tmpnb: Tmpnb) -> None:
    outcome = json.loads(tmpnb("node", "drain", "n1", "--json").stdout)
    assert (outcome["name"], outcome["status"], outcome["node"]["intent"]) == ("n1", "done", "draining")


def test_resume_lets_visitors_in_again(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    tmpnb("node", "drain", "n1")
    assert tmpnb("node", "resume", "n1").stdout == "n1: active\n"
    assert fake.nodes["n1"]["intent"] == "active"
    assert tmpnb("node", "resume", "n1").stdout == "n1: already active\n"


@pytest.mark.parametrize("words", [("add",), ("rotate", "n1")], ids=str)
def test_a_node_that_wants_another_token_is_a_hint_at_the_option(
    tmpnb: Tmpnb, fake: FakeRedirector, words: tuple[str, ...]
) -> None:
    refusal = {"status": "bad_token", "message": "http://127.0.0.1:8103 wants its token, and none was given"}
    fake.answers = lambda request: Answer(502, refusal) if request.method == "POST" else fake.answer(request)
    result = tmpnb("node", *words, "http://127.0.0.1:8103")
    assert result.exit_code == 1
    assert "none was given; name the file that holds it with --token-file" in result.stderr


def test_some_of_several_names_failing_is_partly_done(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    result = tmpnb("node", "drain", "n9", "n1")
    assert result.exit_code == 3
    assert fake.nodes["n1"]["intent"] == "draining"


def test_a_name_given_twice_is_acted_on_once(tmpnb: Tmpnb) -> None:
    assert tmpnb("node", "drain", "n1", "n1").stdout.count("n1") == 1


def test_add_puts_a_node_in_with_its_token_from_a_file(tmpnb: Tmpnb, fake: FakeRedirector, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the-token-of-the-node\n")
    (tmp_path / "token").chmod(0o600)
    result = tmpnb("node", "add", "http://127.0.0.1:8103", "--name", "n3", "--token-file", "token")
    assert (result.exit_code, result.stdout) == (0, "n3: added, http://127.0.0.1:8103\n")
    assert fake.requests[-1].body["token"] == "the-token-of-the-node"


@pytest.mark.parametrize("words", [("add",), ("rotate", "n1")], ids=str)
def test_a_token_may_come_through_standard_input_as_into_a_container(
    tmpnb: Tmpnb, fake: FakeRedirector, words: tuple[str, ...]
) -> None:
    tmpnb("node", *words, "http://127.0.0.1:8103", "--token-file", "-", says="the-token-of-the-node\n")
    assert "the-token-of-the-node" in [request.body.get("token") for request in fake.requests if request.body]


def test_adding_what_is_there_is_done_already(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "add", "http://127.0.0.1:8101", "--name", "n1")
    assert result.exit_code == 0
    assert "already" in result.stdout


def test_adding_under_a_taken_name_fails_with_the_fleets_reason(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "add", "http://127.0.0.1:8109", "--name", "n1")
    assert (result.exit_code, result.stderr) == (1, "Error: n1 is taken\n")


@pytest.mark.parametrize("answer", [Answer(400, {"status": "bad_request", "message": "no address"})])
def test_an_address_that_makes_no_sense_is_wrong_usage(tmpnb: Tmpnb, fake: FakeRedirector, answer: Answer) -> None:
    fake.answers = lambda _: answer
    assert tmpnb("node", "add", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("node", "add"),
        ("node", "add", "http://h", "--token-file", "missing"),
        ("node", "drain"),
        ("node", "drain", "--all-of-them"),
        ("node", "show", "n1", "--jsonn"),
        ("node", "frobnicate"),
        ("frobnicate",),
    ],
)
def test_wrong_usage_exits_2_without_asking_the_fleet(
    tmpnb: Tmpnb, fake: FakeRedirector, arguments: tuple[str, ...]
) -> None:
    result = tmpnb(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fake.requests == []


def test_a_name_that_looks_like_an_option_can_be_named_after_two_dashes(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["--force"] = node("--force")
    assert tmpnb("node", "drain", "--", "--force").stdout.startswith("--force: draining")


def test_remove_needs_to_be_confirmed(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    result = tmpnb("node", "remove", "n1")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "n1" in fake.nodes
    assert tmpnb("node", "remove", "n1", "--yes").stdout == "n1: removed\n"
    assert "n1" not in fake.nodes


@pytest.mark.parametrize(("typed", "exit_code", "left"), [("y\n", 0, ["n2"]), ("n\n", 1, ["n1", "n2"])])
def test_on_a_terminal_remove_asks(
    fake: FakeRedirector, typed: str, exit_code: int, left: list[str], tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    command = [str(Path(sys.executable).parent / "tmpnb"), "node", "remove", "n1"]
    environ = os.environ | {"TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN}
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False)
    os.close(ours)
    os.close(theirs)
    assert "Remove n1 from the fleet?" in done.stderr
    assert done.returncode == exit_code
    assert list(fake.nodes) == left


def test_removing_a_node_with_sessions_is_refused_before_any_question(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    result = tmpnb("node", "remove", "n2")
    assert result.exit_code == 5
    assert "2 sessions" in result.stderr
    assert tmpnb("node", "remove", "n2", "--yes").exit_code == 5
    assert "n2" in fake.nodes
    assert tmpnb("node", "remove", "n2", "--force").exit_code == 0
    assert "n2" not in fake.nodes


def test_a_lost_answer_to_a_change_exits_6(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.answers = lambda request: Answer(200, hang_up=True) if request.method == "POST" else fake.answer(request)
    result = tmpnb("node", "drain", "n1")
    assert result.exit_code == 6
    assert "may have been carried out" in result.stderr


@pytest.mark.parametrize("arguments", [("node", "list"), ("node", "drain", "n1"), ("status",)])
def test_a_wrong_token_fails_with_one_sentence(tmpnb: Tmpnb, arguments: tuple[str, ...]) -> None:
    result = tmpnb(*arguments, TMPNB_TOKEN="a-wrong-token")
    assert result.exit_code == 1
    assert "admin token" in result.stderr
    assert "TMPNB_TOKEN_FILE" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("node", "list"), ("node", "drain", "n1"), ("status", "--json")])
def test_a_redirector_that_does_not_answer_fails_with_one_sentence(tmpnb: Tmpnb, arguments: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    result = tmpnb(*arguments, TMPNB_URL=url)
    assert result.exit_code == 1
    assert f"no redirector answers at {url}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_status_shows_visitors_slots_and_nodes(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"]["intent"] = "draining"
    result = tmpnb("status")
    assert result.exit_code == 0
    for words in (fake.url, "6 free, 2 claimed", "1 draining, 1 up"):
        assert words in result.stdout


def test_status_shows_the_entrys_address_and_not_the_one_that_the_redirector_was_asked_at(
    tmpnb: Tmpnb, fake: FakeRedirector
) -> None:
    entry = "https://notebooks.example.org"
    fake.answers = lambda _: Answer(200, {"available": 0, "capacity": 4, "entry_url": entry})
    shown = tmpnb("status").stdout
    assert f"{entry}/dashboard" in shown
    assert fake.url not in shown
    assert json.loads(tmpnb("status", "--json").stdout)["entry_url"] == entry


def test_status_shows_every_alarm(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fleet: dict[str, Any] = {"available": 0, "capacity": 4, "alarms": ["no free slots", "n2 is down"]}
    fake.answers = lambda _: Answer(200, fleet)
    shown = tmpnb("status").stdout
    assert "no free slots" in shown
    assert "n2 is down" in shown


def test_status_as_json_has_the_fields_of_the_api(tmpnb: Tmpnb) -> None:
    fleet = json.loads(tmpnb("status", "--json").stdout)
    assert (fleet["available"], fleet["claimed"], fleet["nodes"]) == (6, 2, {"up": 2})


@pytest.mark.parametrize("command", ["list", "show", "add", "drain", "resume", "remove"])
def test_every_command_explains_itself_with_an_example(tmpnb: Tmpnb, command: str) -> None:
    shown = tmpnb("node", command, "--help").stdout
    assert f"tmpnb node {command}" in shown.partition("Examples:")[2]


def test_a_node_that_is_down_shows_one_set_of_numbers_when_they_were_and_why(
    tmpnb: Tmpnb, fake: FakeRedirector
) -> None:
    known = {"available": 2, "capacity": 4, "starting": 0, "startable": 0, "claimed": 2}
    fake.nodes["n2"] |= {
        "health": "down",
        "health_reason": "connection refused",
        "reason": "draining: disk",
        "intent": "draining",
        "eligible": False,
        "current": False,
        "last_known": known,
        "capacity": 0,
        "available": 0,
        "stats_age_seconds": 40.0,
        "unanswered": "connection refused",
    }
    shown = " ".join(tmpnb("node", "show", "n2").stdout.split())
    assert "because connection refused" in shown
    assert "slots unknown; 40 s ago: 2 free, 2 claimed of 4" in shown
    drained = tmpnb("node", "drain", "n2")
    assert "2 sessions left 40 s ago (it does not answer: connection refused)" in drained.stdout


def test_a_drain_that_looks_over_is_confirmed_by_the_node_itself(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n2"] |= {"intent": "draining", "drained": True, "claimed": 0}
    looks: list[str] = []

    def look(fake: FakeRedirector) -> None:
        looks.append(fake.requests[-1].path)
        # The list is of a moment ago; the node says that somebody is left, until it has been asked twice.
        asked_itself = looks[-1].endswith("/n2")
        fake.nodes["n2"]["claimed"] = int(asked_itself and looks.count("/api/nodes/n2") < 3)

    fake.on_look = look
    assert tmpnb("node", "wait", "n2", "--for", "drained", "--every", "0.01").exit_code == 0
    assert looks.count("/api/nodes/n2") == 3


def test_resize_says_the_size_before_and_that_it_was_so_already(tmpnb: Tmpnb) -> None:
    result = tmpnb("node", "resize", "n1", "--capacity", "9", "--warm", "2", "--reason", "a class")
    assert (result.exit_code, result.stdout) == (0, "n1: pool default: 9 sandboxes, 2 ready; it had 4\n")
    assert tmpnb("node", "resize", "n1", "--capacity", "9").stdout == "n1: pool default has 9 sandboxes already\n"


@pytest.mark.parametrize("options", [(), ("--capacity", "2", "--warm", "3"), ("--capacity", "-1")])
def test_a_resize_to_nothing_that_can_be_is_wrong_usage(tmpnb: Tmpnb, options: tuple[str, ...]) -> None:
    assert tmpnb("node", "resize", "n1", *options).exit_code == 2


def test_show_says_what_the_fleet_ordered_where_a_pool_has_something_else(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"]["pools"]["default"] |= {"capacity_ordered": 9, "image_ordered": "new"}
    shown = tmpnb("node", "show", "n1").stdout
    assert "the fleet resized it to 9; the fleet moved it to new" in shown
