"""What the store promises of contents, patterns and blobs, over SQLite and PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from redirector.model.content import (
    Content,
    ContentPattern,
    DuplicateContentError,
    FetchedBlob,
    PoolHasContentError,
    TooManyContentsError,
    UnknownContentError,
    unnamed,
)
from redirector.model.events import Event
from redirector.model.sources import parse_source
from redirector.store import contents as contents_module
from redirector.store.blob_rows import BlobRows
from redirector.store.boards import Boards
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.database import Database
from redirector.store.journal import Journal
from redirector.store.leases import Leases, content_lease, node_lease
from redirector.store.registry import Registry
from tests.support.fleet_values import a_node

SPRING = Content("spring", "gh:org/course@main", page="lesson 1.ipynb", added_at=17.25, by="ann", token="t0ken")
ADDED = Event(17.25, "content_added", by="ann", reason="spring")
BLOB = FetchedBlob("a" * 64, "c0ffee", 2048, 3, "numpy")


def version(database: Database) -> int:
    return Boards(database).versions().contents


def age(database: Database, seconds: float) -> None:
    """As if that much time had passed since links asked."""
    with database.writing() as connection:
        connection.execute(text("UPDATE contents SET used_at = used_at - :seconds"), {"seconds": seconds})


def test_a_content_is_read_back_as_it_was_added_and_its_fetch_is_due(database: Database) -> None:
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    row = contents.all()["spring"]
    assert replace(row, wanted_at=0.0, used_at=0.0) == SPRING
    assert row.wanted_at > 0
    assert [event.kind for event in Journal(database).events()] == ["content_added"]


def test_of_operators_who_add_the_same_name_one_does(database: Database) -> None:
    contents = Contents(database)

    def add(number: int) -> bool:
        try:
            contents.add(replace(SPRING, source=f"gh:org/course{number}"), ADDED)
        except DuplicateContentError:
            return False
        return True

    with ThreadPoolExecutor(4) as operators:
        assert sum(operators.map(add, range(4))) == 1
    assert len(Journal(database).events()) == 1


def test_a_pool_has_one_content_for_all_its_sandboxes(database: Database) -> None:
    contents = Contents(database)

    def add(number: int) -> str:
        try:
            contents.add(replace(SPRING, name=f"c{number}", whole_pool=True), ADDED)
        except PoolHasContentError as error:
            return error.name
        return ""

    with ThreadPoolExecutor(4) as operators:
        refused = list(operators.map(add, range(4)))
    there = list(contents.all())
    assert sorted(refused) == sorted(["", *there * 3])
    contents.add(replace(SPRING, name="other-pool", pool="gpu", whole_pool=True), ADDED)
    contents.add(replace(SPRING, name="by-link"), ADDED)


def test_what_was_fetched_is_kept_when_a_later_fetch_fails(database: Database) -> None:
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    assert contents.fetched(contents.all()["spring"], BLOB, Event(18.0, "content_fetched"))
    row = contents.all()["spring"]
    assert (row.digest, row.commit, row.size, row.files, row.needs) == ("a" * 64, "c0ffee", 2048, 3, "numpy")
    assert 0 < row.fetched_at <= row.checked_at
    assert (row.wanted_at, row.problem, row.problem_since) == (0, "", 0)

    contents.failed(row, "the forge does not answer")
    first = contents.all()["spring"]
    contents.failed(first, "the forge answers nonsense")
    row = contents.all()["spring"]
    assert row.digest == "a" * 64
    assert row.fetched_at <= first.problem_since == row.problem_since
    assert row.problem == "the forge answers nonsense"

    contents.fetched(row, BLOB)
    assert contents.all()["spring"].problem_since == 0


def test_a_refresh_that_is_asked_for_during_a_fetch_is_still_due_after_it(database: Database) -> None:
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    with database.writing() as connection:
        connection.execute(text("UPDATE contents SET wanted_at = wanted_at - 1"))
    before = contents.all()["spring"]
    contents.want_refresh("spring")
    contents.fetched(before, BLOB)
    after = contents.all()["spring"]
    assert after.wanted_at > before.wanted_at
    contents.failed(after, "away")
    assert contents.all()["spring"].wanted_at == 0


def test_a_fetch_of_what_was_replaced_meanwhile_changes_nothing(database: Database) -> None:
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    before = contents.all()["spring"]
    contents.remove("spring", Event(18.0, "content_removed"))
    assert not contents.fetched(before, BLOB, Event(19.0, "content_fetched"))
    contents.add(replace(SPRING, source="gh:org/other", added_at=18.5), ADDED)
    assert not contents.failed(before, "no such branch", Event(19.0, "content_failed"))
    row = contents.all()["spring"]
    assert (row.digest, row.problem) == ("", "")
    assert [event.kind for event in Journal(database).events()] == ["content_added", "content_removed", "content_added"]


def test_content_that_is_not_there_can_neither_be_refreshed_nor_removed(database: Database) -> None:
    contents = Contents(database)
    with pytest.raises(UnknownContentError):
        contents.want_refresh("spring", Event(1.0, "content_refreshed"))
    with pytest.raises(UnknownContentError):
        contents.remove("spring", Event(1.0, "content_removed"))
    assert Journal(database).events() == []


def test_workers_hear_of_what_visitors_have_to_know_and_of_nothing_else(database: Database) -> None:
    contents = Contents(database)
    before = version(database)
    contents.add(SPRING, ADDED)
    contents.fetched(contents.all()["spring"], BLOB)
    assert version(database) == before + 2
    contents.fetched(contents.all()["spring"], BLOB)
    contents.touch("spring")
    assert version(database) == before + 2, "the commit is the same"
    contents.want_refresh("spring")
    contents.failed(contents.all()["spring"], "away")
    contents.remove("spring", ADDED)
    assert version(database) == before + 5


def test_links_to_one_source_share_one_unnamed_content(database: Database) -> None:
    contents = Contents(database)
    source = parse_source("gh:org/course")
    with ThreadPoolExecutor(4) as visitors:
        rows = list(visitors.map(lambda _: contents.want_link(source, "default"), range(8)))
    assert {row.name for row in rows} == {unnamed(source, "default")} == set(contents.all())
    assert not rows[0].named
    assert rows[0].wanted_at > 0
    assert contents.want_link(source, "gpu").name != rows[0].name


def test_links_cannot_fill_the_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents_module, "MOST_UNNAMED", 2)
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    for number in range(2):
        contents.want_link(parse_source(f"gh:org/course{number}"), "default")
    with pytest.raises(TooManyContentsError):
        contents.want_link(parse_source("gh:org/course2"), "default")
    contents.want_link(parse_source("gh:org/course1"), "default")
    assert len(contents.all()) == 3


def test_unnamed_contents_that_no_link_asks_for_are_forgotten(database: Database) -> None:
    contents = Contents(database)
    contents.add(SPRING, ADDED)
    good, mistyped = (contents.want_link(parse_source(f"gh:org/{name}"), "default") for name in ("good", "mistyped"))
    contents.fetched(good, BLOB)
    assert Leases(database).hold("w", content_lease(mistyped.name))
    assert contents.forget_unused() == []
    age(database, 2 * 3600)
    assert contents.forget_unused() == [mistyped.name]
    age(database, 6 * 86400)
    contents.touch(good.name)
    age(database, 6 * 86400)
    assert contents.forget_unused() == []
    age(database, 2 * 86400)
    assert contents.forget_unused() == [good.name]
    assert list(contents.all()) == ["spring"]
    with database.reading() as connection:
        assert connection.execute(text("SELECT name FROM leases")).scalars().all() == ["poller"]


def test_a_content_and_a_node_have_a_lease_each_which_goes_with_them(database: Database) -> None:
    leases = Leases(database)
    Contents(database).add(replace(SPRING, name="s" * 63), ADDED)
    with Registry(database).changing() as change:
        change.add(a_node("n1"))
    names = [content_lease("s" * 63), node_lease("n1")]
    for name in names:
        with ThreadPoolExecutor(4) as workers:
            taken = list(workers.map(leases.hold, "abcd", [name] * 4))
        assert taken.count(True) == 1, name
    assert leases.hold("a"), "the poller's is another"
    Contents(database).remove("s" * 63, ADDED)
    BlobRows(database).pushed("n1", "a" * 64)
    with Registry(database).changing() as change:
        change.remove("n1")
    with database.reading() as connection:
        assert connection.execute(text("SELECT name FROM leases")).scalars().all() == ["poller"]
    assert BlobRows(database).holders() == {}


def test_a_pattern_is_allowed_once_and_denied_once(database: Database) -> None:
    patterns, journal = ContentPatterns(database), Journal(database)
    pattern = ContentPattern("gh:org/*", "default", 17.25, "ann", "our courses")
    before = version(database)
    assert patterns.allow(pattern, Event(1.0, "content_allowed"))
    assert not patterns.allow(replace(pattern, by="bob"), Event(2.0, "content_allowed"))
    assert patterns.all() == [pattern]
    moved = replace(pattern, pool="gpu", by="bob")
    assert patterns.allow(moved, Event(3.0, "content_allowed"))
    assert patterns.all() == [moved]
    assert patterns.deny("gh:org/*", Event(4.0, "content_denied"))
    assert not patterns.deny("gh:org/*", Event(5.0, "content_denied"))
    assert patterns.all() == []
    assert [event.at for event in journal.events()] == [1.0, 3.0, 4.0]
    assert version(database) == before + 3


def test_blobs_come_back_with_the_one_that_was_used_longest_ago_first(database: Database) -> None:
    rows = BlobRows(database)
    for letter in "abc":
        rows.put(letter * 64, 100)
    with database.writing() as connection:
        connection.execute(text("UPDATE blobs SET used_at = used_at - 10"))
        connection.execute(text("UPDATE blobs SET used_at = used_at - 10 WHERE digest > :b"), {"b": "b" * 64})
    rows.used("a" * 64)
    with database.writing() as connection:
        connection.execute(text("UPDATE blobs SET used_at = used_at - 1"))
    rows.put("b" * 64, 100)
    rows.used("f" * 64)
    assert [digest[0] for digest in rows.all()] == ["c", "a", "b"]
    rows.delete("c" * 64)
    rows.delete("c" * 64)
    assert [(row.digest[0], row.bytes) for row in rows.all().values()] == [("a", 100), ("b", 100)]


def test_a_push_is_wanted_until_it_is_made_however_many_ask(database: Database) -> None:
    rows = BlobRows(database)
    with ThreadPoolExecutor(4) as visitors:
        list(visitors.map(lambda _: rows.want_push("n1", "a" * 64), range(8)))
    rows.want_push("n2", "a" * 64)
    assert [(row.node, row.state) for row in rows.wanted()] == [("n1", "wanted"), ("n2", "wanted")]
    rows.pushed("n1", "a" * 64)
    rows.push_failed("n2", "a" * 64, "no room")
    assert rows.wanted() == []
    assert {node: (row.state, row.problem) for node, row in rows.holders()["a" * 64].items()} == {
        "n1": ("there", ""),
        "n2": ("failed", "no room"),
    }
    rows.want_push("n1", "a" * 64)
    rows.want_push("n2", "a" * 64)
    assert [(row.node, row.problem) for row in rows.wanted()] == [("n1", ""), ("n2", "")], "it was evicted there"


def test_what_a_node_holds_replaces_what_was_known_of_it(database: Database) -> None:
    rows = BlobRows(database)
    for letter in "ab":
        rows.pushed("n1", letter * 64)
    rows.pushed("n2", "a" * 64)
    rows.want_push("n1", "c" * 64)
    rows.push_failed("n1", "e" * 64, "no room")
    rows.holds("n1", ["b" * 64, "d" * 64])
    holders = rows.holders()
    there = {(node, digest[0]): row.state for digest, nodes in holders.items() for node, row in nodes.items()}
    assert there == {
        ("n1", "b"): "there",
        ("n1", "c"): "wanted",
        ("n1", "d"): "there",
        ("n1", "e"): "failed",
        ("n2", "a"): "there",
    }


def test_every_database_has_a_mark_of_its_own_for_its_blobs(database: Database) -> None:
    mark = BlobRows(database).mark()
    assert len(mark) == 32
    assert BlobRows(database).mark() == mark
