"""`tmpnb sessions` and `tmpnb say`, against a real redirector with fake nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from redirector.cli import main
from redirector.cli.sessions import question
from redirector.model.sessions import VisitorSession
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import fake_nodes
from tests.support.seat import ADMIN_TOKEN, Seat, seat

Run = Callable[..., Result]
SPANS = {"age_seconds": 7300.0, "idle_seconds": 65.0, "ends_in_seconds": 3000.0, "ends_reason": "idle"}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[FakeNode, FakeNode]]:
    with fake_nodes() as nodes:
        yield nodes.add("n1"), nodes.add("n2")


@pytest.fixture(scope="module")
def there(pair: tuple[FakeNode, FakeNode], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    with seat(tmp_path_factory.mktemp("state")) as there:
        there.add(*pair)
        yield there


@pytest.fixture
def two(pair: tuple[FakeNode, FakeNode]) -> tuple[FakeNode, FakeNode]:
    first, second = pair
    first.claims, second.claims = {"a": "aaaaaaaa", "b": "bbbbbbbb"}, {"b": "bbbbbbbb"}
    for node in (first, second):
        node.session, node.said, node.accepts_say, node.nameless = {**SPANS, "memory_bytes": 2**27}, "", True, []
    return first, second


@pytest.fixture
def tmpnb(there: Seat, two: tuple[FakeNode, FakeNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    assert two
    monkeypatch.chdir(tmp_path)
    environ = {"TMPNB_URL": there.url, "TMPNB_TOKEN": ADMIN_TOKEN, "TMPNB_ZONE": "UTC", "TMPNB_TOKEN_FILE": None}
    return lambda *arguments: CliRunner().invoke(main, arguments, env=environ)


def test_sessions_are_listed_with_what_an_operator_asks_first(tmpnb: Run) -> None:
    shown = tmpnb("sessions")
    assert shown.exit_code == 0
    head, first, *rest = shown.stdout.splitlines()
    assert head.split() == ["NODE", "NAME", "POOL", "AGE", "IDLE", "MEMORY", "BUSY", "ENDS"]
    assert " ".join(first.split()) == "n1 aaaaaaaa default 2 h 65 s 128 MiB - in 50 min (idle)"
    assert len(rest) == 2
    assert len(tmpnb("sessions", "--node", "n2").stdout.splitlines()) == 2
    assert [one["name"] for one in json.loads(tmpnb("sessions", "list", "--json").stdout)] == [
        "aaaaaaaa",
        "bbbbbbbb",
        "bbbbbbbb",
    ]
    assert "no sessions" in tmpnb("sessions", "--pool", "r").stderr
    assert tmpnb("sessions", "--node", "n9").exit_code == 1


def test_five_thousand_sessions_are_listed_whole(tmpnb: Run, two: tuple[FakeNode, FakeNode]) -> None:
    for letter, node in zip("ab", two, strict=True):
        node.claims = {f"{number}": f"{letter}{number:07}" for number in range(2500)}
    assert len(json.loads(tmpnb("sessions", "--json").stdout)) == 5000
    assert len(tmpnb("sessions", "--sort", "age").stdout.splitlines()) == 5001


def test_ending_asks_first_and_says_what_became_of_each(tmpnb: Run, two: tuple[FakeNode, FakeNode]) -> None:
    refused = tmpnb("sessions", "end", "aaaaaaaa")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert "aaaaaaaa" in two[0].claims.values()
    done = tmpnb("sessions", "end", "aaaaaaaa", "--yes", "--reason", "it mines", "--by", "ann")
    assert (done.exit_code, done.stdout) == (0, "aaaaaaaa: ended, on n1\n")
    history = tmpnb("events").stdout
    assert "by ann: aaaaaaaa: it mines" in history


def test_ending_looks_before_it_asks(tmpnb: Run) -> None:
    unknown = tmpnb("sessions", "end", "zzzzzzzz")
    assert unknown.exit_code == 1
    assert "it has ended, or never was" in unknown.stderr
    assert tmpnb("sessions", "end", "zzzzzzzz", "n1/aaaaaaaa").exit_code == 2


def test_the_question_before_an_end_shows_what_is_known_of_each_session() -> None:
    known = VisitorSession("n1", "aaaaaaaa", "default", 7300.0, 65.0, True, 2**27, 3000.0, "idle")
    unknown = replace(known, name="b", age_seconds=None, memory_bytes=None, busy=False)
    assert question([known]) == "n1/aaaaaaaa: 2 h old, 128 MiB, busy\nEnd it now?"
    assert question([known, unknown]).splitlines()[1:] == ["n1/b: ? old, ?", "End these 2 sessions now?"]


def test_events_of_a_node_that_never_was_are_no_empty_history(tmpnb: Run) -> None:
    refused = tmpnb("events", "--node", "nope")
    assert refused.exit_code == 1
    assert "nope: no such node; there are: n1, n2" in refused.stderr
    quiet = tmpnb("events", "--node", "n1", "--until", "2020-01-01")
    assert (quiet.exit_code, quiet.stderr.splitlines()[-1]) == (0, "nothing has happened on n1 then")


def test_an_interval_that_ends_before_it_begins_is_a_mistake(tmpnb: Run) -> None:
    assert tmpnb("events", "--since", "5m", "--until", "10m").exit_code == 2
    assert tmpnb("events", "--since", "10m", "--until", "5m").exit_code == 0


def test_unknown_ambiguous_and_ended_names_get_a_clear_word(tmpnb: Run, two: tuple[FakeNode, FakeNode]) -> None:
    unknown = tmpnb("sessions", "end", "zzzzzzzz", "--yes")
    assert unknown.exit_code == 1
    assert "it has ended, or never was" in unknown.stderr
    ambiguous = tmpnb("sessions", "end", "bbbbbbbb", "--yes")
    assert ambiguous.exit_code == 1
    assert "n1 and n2" in ambiguous.stderr
    assert "bbbbbbbb" in two[0].claims.values()
    assert tmpnb("sessions", "end", "n2/bbbbbbbb", "zzzzzzzz", "--yes").exit_code == 3
    assert "bbbbbbbb" not in two[1].claims.values()
    two[0].nameless = ["goneaway"]
    over = tmpnb("sessions", "end", "goneaway", "--yes", "--json")
    assert over.exit_code == 0
    assert json.loads(over.stdout)[0]["status"] == "already"
    for odd in ("--", "..", "a/../b", "%2e", "n9/aaaaaaaa"):
        assert tmpnb("sessions", "end", "--yes", "--", odd).exit_code in (1, 2)


def test_saying_something_shows_until_when(tmpnb: Run, two: tuple[FakeNode, FakeNode]) -> None:
    said = tmpnb("say", "we stop at 18:00", "--until", "2h")
    assert said.exit_code == 0
    assert said.stdout.startswith("n1, n2: show it until ")
    assert said.stdout.endswith(" UTC\n")
    assert [node.said for node in two] == ["we stop at 18:00"] * 2
    assert tmpnb("say", "--stop", "--node", "n1").exit_code == 0
    assert [node.said for node in two] == ["", "we stop at 18:00"]


def test_saying_where_some_cannot_is_partly_done(tmpnb: Run, two: tuple[FakeNode, FakeNode]) -> None:
    two[0].accepts_say = False
    said = tmpnb("say", "we stop")
    assert said.exit_code == 3
    assert "Error: n1: it does not know this call" in said.stderr
    two[1].accepts_say = False
    assert tmpnb("say", "we stop").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("x" * 5000,), "a notice has at most 300 characters, and this one has 5000"),
        (("one\ntwo",), "a notice is one line of text, without control characters"),
        (("we stop", "--until", "9999h"), "a notice is shown for at most 7 days"),
        (("we stop", "--until", "0s"), "its time is over already, so that nobody would see it"),
    ],
)
def test_what_cannot_be_said_is_refused_in_the_words_of_the_command(
    tmpnb: Run, arguments: tuple[str, ...], word: str
) -> None:
    refused = tmpnb("say", *arguments)
    assert refused.exit_code == 2
    assert refused.stderr == f"Error: {word}\n"


@pytest.mark.parametrize(
    "arguments", [(), ("",), ("  ",), ("we stop", "--stop"), ("x" * 301,), ("we stop", "--until", "soon")]
)
def test_what_cannot_be_said_is_a_mistake(
    tmpnb: Run, two: tuple[FakeNode, FakeNode], arguments: tuple[str, ...]
) -> None:
    assert tmpnb("say", *arguments).exit_code == 2
    assert not any(node.said for node in two)
