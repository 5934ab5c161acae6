"""A database of an earlier release, filled as a fleet fills it, is what a newer `tmpnb serve` goes on from.

There is one release's schema so far, so the newer one is made up: a migration that only this test has.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, text

from redirector.errors import SchemaTooNewError
from redirector.model.board import Board, seen_text
from redirector.model.events import Event
from redirector.model.nodes import Node
from redirector.store import tables
from redirector.store.database import Database
from redirector.store.registry import Registry
from redirector.store.schema import VERSIONS, migrate
from redirector.store.ticket_rows import Ticket
from redirector.store.tickets import Tickets
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.fleet_values import seen, stats
from tests.support.served import Served
from tests.support.waiting import wait_until

NEXT = """
import secrets
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9002", "0002", None, None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("region", sa.Text, nullable=False, server_default=""))
    keys = op.create_table("more_keys", sa.Column("value", sa.Text, primary_key=True))
    op.bulk_insert(keys, [{"value": secrets.token_urlsafe(32)}])
"""

TICKET = secrets.token_urlsafe(24)
ADDED_AT = 1_700_000_000.25


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def newer(tmp_path: Path) -> tuple[Path, Path]:
    """The directories of migrations of a release that follows this one."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "9002_made_up.py").write_text(NEXT)
    return VERSIONS, tmp_path / "versions"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database as this release makes it."""
    database = Database(url)
    migrate(database)
    yield database
    database.close()


def fill(database: Database, *nodes: Node) -> None:
    """Write what a fleet leaves behind: nodes, what happened so far, a roll, a visitor who waits, a board."""
    with Registry(database).changing() as change:
        for node in nodes:
            change.add(node)
            change.note(Event(ADDED_AT, "node_added", node.name, "ada"))
    Tickets(database).join(
        Ticket(TICKET, "default", ""), limit=9, bounds=[], held_seconds=0.0, interval=60.0, refused=False
    )
    board = Board(time.time(), "a-host:1:ab", {node.name: seen(said=stats(claimed=1)) for node in nodes})
    with database.writing() as connection:
        connection.execute(insert(tables.counters).values(name="placed", value=4711))
        connection.execute(insert(tables.rolls).values(node="n1", pool="default", image_before="an/older-image"))
        connection.execute(
            text("UPDATE documents SET version = 7, holder = 'a-host:1:ab', document = :it WHERE name = 'board'"),
            {"it": seen_text(board)},
        )
        # Its holder was killed a moment ago.
        connection.execute(text("UPDATE leases SET holder = 'a-host:1:ab', expires_at = :at"), {"at": time.time() + 3})


def revision_of(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_fleet_goes_on_from_the_database_that_another_process_left(
    url: str, database: Database, nodes: FakeNodes, tmp_path: Path
) -> None:
    active, draining = nodes.add("n1", ready=3), nodes.add("n2", ready=5, claimed=1)
    drain = {"intent": "draining", "intent_reason": "new disk", "intent_by": "ada", "generation": 4}
    fill(
        database,
        Node("n1", active.url, token=active.token, node_id=active.node_id, added_at=ADDED_AT),
        Node("n2", draining.url, token=draining.token, node_id=draining.node_id, added_at=ADDED_AT, **drain),  # type: ignore[arg-type]
    )

    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    try:
        served.wait_until_up()
        # Its nodes are placed on, but for the one that was draining, and that is told so once more.
        served.wait_until_known(3)
        answer = served.post("/api/spawn", ticket=TICKET)
        assert answer.status_code == 200, answer.text
        assert answer.json()["url"].startswith(active.url)
        assert draining.spawns() == []
        wait_until(lambda: draining.fleet_state == "draining", 15, "the drain put to its node again")
        shown = served.admin("GET", "/api/nodes/n2").json()
        assert (shown["intent"], shown["intent_reason"], shown["intent_by"]) == ("draining", "new disk", "ada")
        assert (shown["added_at"], shown["end_sessions_at"]) == (ADDED_AT, 0)
        # Its history, its numbers and its way back from a roll are there.
        told = served.admin("GET", "/api/events").json()["events"]
        assert [(event["kind"], event["node"]) for event in told][:2] == [("node_added", "n1"), ("node_added", "n2")]
        wait_until(
            lambda: served.admin("GET", "/api/fleet").json()["visitors"]["placed"] == 4712, 10, "the visitor counted"
        )
        pools = served.admin("GET", "/api/nodes/n1").json()["pools"]
        assert pools["default"]["image_before"] == "an/older-image"
    finally:
        served.stop()
    assert "Traceback" not in served.log.read_text()


def test_an_older_schema_is_upgraded_and_the_version_before_goes_on_with_it(
    database: Database, newer: tuple[Path, Path]
) -> None:
    """While several hosts are upgraded one by one: its statements name the columns that it knows, and no others."""
    fill(database, Node("n1", "http://n1"), Node("n2", "http://n2", intent="draining"))
    migrate(database, versions=newer)
    assert revision_of(database) == "9002"
    with database.reading() as connection:
        assert connection.execute(text("SELECT name, region FROM nodes ORDER BY name")).all() == [
            ("n1", ""),
            ("n2", ""),
        ]

    with Registry(database).changing() as change:
        change.put(change.all()["n1"])
        change.add(Node("n3", "http://n3"))
    assert [(node.name, node.intent) for node in Registry(database).all().values()] == [
        ("n1", "active"),
        ("n2", "draining"),
        ("n3", "active"),
    ]
    assert Tickets(database).queue().tickets == {"default": [TICKET]}


def test_two_redirectors_that_start_at_once_upgrade_it_once(
    url: str, database: Database, newer: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, Node("n1", "http://n1"))
    both = [Database(url), Database(url)]
    with caplog.at_level(logging.INFO, "store"), ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: migrate(one, versions=newer), both))
    for one in both:
        one.close()
    assert [record.message for record in caplog.records] == ["the database was upgraded"]
    assert revision_of(database) == "9002"


def test_a_redirector_of_the_version_before_does_not_start_on_a_newer_schema(
    url: str, database: Database, newer: tuple[Path, Path], tmp_path: Path
) -> None:
    migrate(database, versions=newer)
    with pytest.raises(SchemaTooNewError):
        migrate(database)

    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    assert served.process.wait(30) == 1
    assert "written by a newer tmpnb-fleet" in served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    database: Database, newer: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, Node("n1", "http://n1"))
    with monkeypatch.context() as patched:
        # The last step of the upgrade finds no way to make its random key.
        patched.setattr(secrets, "token_urlsafe", _no_entropy)
        with pytest.raises(OSError, match="no entropy"):
            migrate(database, versions=newer)
    assert revision_of(database) == "0002"
    with database.reading() as connection:
        schema = inspect(connection)
        assert not schema.has_table("more_keys")
        assert "region" not in {column["name"] for column in schema.get_columns("nodes")}
    migrate(database, versions=newer)
    assert list(Registry(database).all()) == ["n1"]


def _no_entropy(_bytes: int = 0) -> str:
    raise OSError("no entropy")
