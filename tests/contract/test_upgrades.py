"""A database of an earlier release, filled as a fleet fills it, is what a newer `tmpnb serve` goes on from."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, insert, select, text

from redirector.errors import SchemaTooNewError
from redirector.model.board import Board, BoardWriter
from redirector.model.events import Event
from redirector.store.database import Database
from redirector.store.journal import Journal
from redirector.store.registry import Registry
from redirector.store.schema import configuration, migrate
from redirector.store.tickets import Tickets
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.fleet_values import a_node, seen, stats
from tests.support.served import Served
from tests.support.waiting import wait_until

REVISIONS = ["0001", "0002", "0003", "0004", "0005"]
"""Every schema that a release ever had but the newest."""

TICKET = secrets.token_urlsafe(24)
ADDED_AT = 1_700_000_000.25


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


def a_fleets_rows(active: FakeNode, draining: FakeNode) -> dict[str, list[dict[str, Any]]]:
    """By table: two nodes, one of them drained by an operator, what happened so far, a roll, a visitor who waits.

    The later columns are here too; a schema that does not have them yet leaves them out.
    """
    node = {"control_url": "", "added_at": ADDED_AT, "version": 3, "end_sessions_at": 0.0}
    now = time.time()
    return {
        "nodes": [
            node
            | {"name": "n1", "url": active.url, "token": active.token, "node_id": active.node_id}
            | {"intent": "active", "intent_reason": "", "intent_by": "ada", "intent_since": ADDED_AT, "generation": 1},
            node
            | {"name": "n2", "url": draining.url, "token": draining.token, "node_id": draining.node_id}
            | {"intent": "draining", "intent_reason": "new disk", "intent_by": "ada", "intent_since": ADDED_AT + 60}
            | {"generation": 4},
        ],
        "events": [
            {"at": ADDED_AT, "kind": "node_added", "node": "n1", "by": "ada", "reason": ""},
            {"at": ADDED_AT + 60, "kind": "drain", "node": "n2", "by": "ada", "reason": "new disk"},
        ],
        "counters": [{"name": "placed", "value": 4711}],
        "sightings": [{"node": "n2", "proved": 0, "reason": "503"}],
        "minutes": [{"minute": int(now) // 60, "name": "placed", "value": 7}],
        "rolls": [{"node": "n1", "pool": "default", "image_before": "an/older-image"}],
        "tickets": [
            {"ticket": TICKET, "pool": "default", "live_until": now + 120, "held_until": 0.0, "claiming_until": 0.0}
            | {"refused_at": 0.0, "let_in_at": 0.0, "node": "", "joined_at": now}
        ],
    }


def fill(connection: Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Write rows as the program of that schema did, which knew its columns and no others."""
    then = MetaData()
    then.reflect(connection)
    for name, table in then.tables.items():
        for row in rows.get(name, []):
            connection.execute(insert(table).values({key: row[key] for key in row if key in table.c}))
    board = Board(7, time.time(), "a-host:1:ab", {"n1": seen(), "n2": seen(said=stats(claimed=1))})
    connection.execute(
        text("UPDATE documents SET version = 7, holder = 'a-host:1:ab', document = :it WHERE name = 'board'"),
        {"it": BoardWriter().write(board)},
    )
    connection.execute(text("UPDATE documents SET version = 5 WHERE name = 'registry'"))
    # Its holder was killed a moment ago.
    connection.execute(text("UPDATE leases SET holder = 'a-host:1:ab', expires_at = :at"), {"at": time.time() + 3})


def database_of(url: str, revision: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Make a database as a release with that schema left it."""
    database = Database(url)
    database.make_file()
    with database.writing() as connection:
        command.upgrade(configuration(connection), revision)
        fill(connection, rows)
    database.close()


def revision_of(url: str) -> str:
    database = Database(url)
    with database.reading() as connection:
        found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    database.close()
    return found


def newest(url: str) -> str:
    database = Database(url)
    with database.reading() as connection:
        found = ScriptDirectory.from_config(configuration(connection)).get_current_head()
    database.close()
    assert found is not None
    return found


def test_every_earlier_schema_is_tried_here(url: str) -> None:
    database = Database(url)
    migrate(database)
    with database.reading() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
        assert [*REVISIONS, scripts.get_current_head()] == sorted(one.revision for one in scripts.walk_revisions())
    database.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_fleet_goes_on_after_the_redirector_was_upgraded(
    url: str, revision: str, nodes: FakeNodes, tmp_path: Path
) -> None:
    active, draining = nodes.add("n1", ready=3), nodes.add("n2", ready=5, claimed=1)
    database_of(url, revision, a_fleets_rows(active, draining))

    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    try:
        served.wait_until_up()
        assert revision_of(url) == newest(url)
        # Its nodes are placed on, but for the one that was draining, and that is told so once more.
        served.wait_until_known(3)
        # Who waited is let in at their turn; before 0003 nobody could.
        answer = served.post("/api/spawn", **({"ticket": TICKET} if revision >= "0003" else {}))
        assert answer.status_code == 200, answer.text
        assert answer.json()["url"].startswith(active.url)
        assert draining.spawns() == []
        wait_until(lambda: draining.fleet_state == "draining", 15, "the drain put to its node again")
        shown = served.admin("GET", "/api/nodes/n2").json()
        assert (shown["intent"], shown["intent_reason"], shown["intent_by"]) == ("draining", "new disk", "ada")
        assert (shown["added_at"], shown["end_sessions_at"]) == (ADDED_AT, 0)
        # Its history, its numbers and its way back from a roll are there.
        told = served.admin("GET", "/api/events").json()["events"]
        assert [(event["kind"], event["node"]) for event in told][:2] == [("node_added", "n1"), ("drain", "n2")]
        wait_until(
            lambda: served.admin("GET", "/api/fleet").json()["visitors"]["placed"] == 4712, 10, "the visitor counted"
        )
        if revision >= "0002":
            pools = served.admin("GET", "/api/nodes/n1").json()["pools"]
            assert pools["default"]["image_before"] == "an/older-image"
        # Operators go on as before.
        assert served.admin("POST", "/api/nodes/n2/resume", json={"by": "ada"}).json()["changed"] is True
        wait_until(lambda: draining.fleet_state == "active", 15, "the node resumed")
    finally:
        served.stop()
    assert "Traceback" not in served.log.read_text()


def test_two_redirectors_that_start_at_once_upgrade_it_once(url: str, nodes: FakeNodes, tmp_path: Path) -> None:
    active, draining = nodes.add("n1", ready=3), nodes.add("n2")
    database_of(url, REVISIONS[0], a_fleets_rows(active, draining))

    both = [Served(tmp_path / name, TMPNB_DATABASE_URL=url, TMPNB_WORKERS="1") for name in ("one", "two")]
    try:
        for served in both:
            served.wait_until_up()
            served.wait_until_known(3)
    finally:
        for served in both:
            served.stop()
    told = [line for served in both for line in served.log.read_text().splitlines() if "was upgraded" in line]
    assert len(told) == 1, "in one line"
    assert not [served for served in both if "alembic" in served.log.read_text()]
    assert f"before={REVISIONS[0]}" in told[0]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_redirector_that_still_runs_the_version_before_goes_on_with_the_newer_schema(
    url: str, revision: str, nodes: FakeNodes
) -> None:
    """While several hosts are upgraded one by one: its statements name the columns that it knows, and no others."""
    active, draining = nodes.add("n1"), nodes.add("n2")
    database_of(url, revision, a_fleets_rows(active, draining))
    database = Database(url)
    before = MetaData()
    with database.reading() as connection:
        before.reflect(connection)
    migrate(database)

    with database.writing() as connection:
        for name, table in before.tables.items():
            if name == "alembic_version":
                continue
            for row in [dict(row._mapping) for row in connection.execute(select(table))]:
                first, *_ = table.primary_key.columns
                connection.execute(table.update().where(first == row[first.name]).values(row))
                connection.execute(table.delete().where(first == row[first.name]))
                connection.execute(insert(table).values(row))
    assert list(Registry(database).all()) == ["n1", "n2"]
    assert Registry(database).all()["n2"].intent == "draining"
    assert Journal(database).events()[-1].kind == "drain"
    if revision >= "0003":
        assert Tickets(database).queue().tickets == {"default": [TICKET]}
    database.close()


def test_a_redirector_of_the_version_before_does_not_start_on_a_newer_schema(url: str, tmp_path: Path) -> None:
    database = Database(url)
    migrate(database)
    with Registry(database).changing() as change:
        change.add(a_node(intent="draining"))
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError):
        migrate(database)
    database.close()

    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    assert served.process.wait(30) == 1
    assert "written by a newer tmpnb-fleet" in served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    url: str, nodes: FakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    active, draining = nodes.add("n1"), nodes.add("n2")
    database_of(url, "0001", a_fleets_rows(active, draining))
    database = Database(url)
    with monkeypatch.context() as patched:
        # The last step of the upgrade finds no way to make its random key.
        patched.setattr(secrets, "token_urlsafe", _no_entropy)
        with pytest.raises(OSError, match="no entropy"):
            migrate(database)
    assert revision_of(url) == "0001"
    with database.reading() as connection:
        left = MetaData()
        left.reflect(connection)
        assert "minutes" not in left.tables
        assert "end_sessions_at" not in left.tables["nodes"].c
    migrate(database)
    Journal(database).write([Event(1.0, "drain", "n1")], {}, [])
    assert list(Registry(database).all()) == ["n1", "n2"]
    database.close()


def _no_entropy(_bytes: int = 0) -> str:
    raise OSError("no entropy")
