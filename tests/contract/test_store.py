"""What the store promises, over SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import QueuePool, text

from redirector.errors import DatabaseAwayError, SchemaTooNewError
from redirector.model.board import Board
from redirector.model.events import Event, PassiveCheck
from redirector.store import tables
from redirector.store.boards import Boards
from redirector.store.database import BUSY_SECONDS, Database
from redirector.store.journal import Journal
from redirector.store.leases import POLLER, Leases
from redirector.store.postgres import ANSWER_SECONDS
from redirector.store.registry import Registry
from redirector.store.schema import migrate
from tests.support.fleet_values import a_node, seen
from tests.support.postgres import PostgresCluster


def expire(database: Database) -> None:
    """As if three seconds had passed for the lease."""
    with database.writing() as connection:
        connection.execute(text("UPDATE leases SET expires_at = expires_at - 3.5"))


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    with Registry(database).changing() as change:
        change.add(a_node())
    migrate(database)
    assert list(Registry(database).all()) == ["n1"]


def test_several_redirectors_that_start_at_once_make_the_schema_once(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as starters:
        list(starters.map(migrate, databases))
    assert Registry(databases[0]).all() == {}
    for database in databases:
        database.close()


def test_a_newer_schema_is_refused_and_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError) as caught:
        migrate(database)
    assert caught.value.revision == "9999"
    with database.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_node_is_read_back_as_it_was_written(database: Database) -> None:
    node = a_node(token="secret-token", control_url="http://10.0.0.7", intent="draining", added_at=17.25)
    with Registry(database).changing() as change:
        change.add(node)
    assert Registry(database).all() == {"n1": node}


def test_every_write_of_a_node_raises_its_version(database: Database) -> None:
    with Registry(database).changing() as change:
        change.add(a_node())
        assert change.put(a_node(intent="draining")).version == 2
    assert Registry(database).all()["n1"].version == 2


def test_a_change_that_fails_leaves_neither_node_nor_event(database: Database) -> None:
    def begin_and_stumble() -> None:
        with Registry(database).changing() as change:
            change.add(a_node())
            change.note(Event(1.0, "node_added", "n1"))
            raise KeyError("something else went wrong")

    with pytest.raises(KeyError):
        begin_and_stumble()
    assert Registry(database).all() == {}
    assert Journal(database).events() == []


def test_removing_a_node_that_is_gone_is_a_success(database: Database) -> None:
    with Registry(database).changing() as change:
        change.remove("nobody")
    assert Registry(database).all() == {}


def test_changes_to_the_registry_happen_one_after_the_other(database: Database) -> None:
    with Registry(database).changing() as change:
        change.add(a_node("n0"))

    def add(number: int) -> None:
        with Registry(database).changing() as change:
            change.add(a_node(f"n{len(change.all())}", url=f"http://{number}"))

    with ThreadPoolExecutor(4) as operators:
        list(operators.map(add, range(8)))
    assert list(Registry(database).all()) == [f"n{number}" for number in range(9)]


def test_every_change_of_the_registry_is_a_new_edition(database: Database) -> None:
    boards = Boards(database)
    before = boards.versions()
    with Registry(database).changing() as change:
        change.add(a_node())
    assert boards.versions().registry == before.registry + 1
    assert boards.versions().board == before.board


def test_one_holder_at_a_time_has_the_lease(database: Database) -> None:
    leases = Leases(database)
    assert leases.hold("a")
    assert leases.hold("a"), "renewed"
    assert not leases.hold("b")
    expire(database)
    assert leases.hold("b")
    assert not leases.hold("a")


def test_a_lease_of_somebody_who_died_is_free_when_the_clock_is_set_back(database: Database) -> None:
    leases = Leases(database)
    assert leases.hold("a")
    with database.writing() as connection:
        connection.execute(text("UPDATE leases SET expires_at = expires_at + 3600"))
    assert leases.hold("b")


def test_of_many_who_want_a_free_lease_one_gets_it(database: Database) -> None:
    with ThreadPoolExecutor(8) as workers:
        taken = list(workers.map(Leases(database).hold, [f"w{number}" for number in range(8)]))
    assert taken.count(True) == 1


def test_a_lease_that_is_given_back_is_free_at_once(database: Database) -> None:
    leases = Leases(database)
    assert leases.hold("a")
    leases.release("b")
    assert not leases.hold("b"), "only its holder can give it back"
    leases.release("a")
    assert leases.hold("b")


def test_the_board_is_published_in_editions(database: Database) -> None:
    boards = Boards(database)
    assert boards.latest() == Board()
    assert Leases(database).hold("a")
    assert boards.publish(Board(17.5, "a", {"n1": seen()}))
    assert boards.latest() == Board(17.5, "a", {"n1": seen()})
    assert boards.publish(Board(18.5, "a", {}))
    assert boards.versions().board == 2


def test_only_the_holder_of_the_lease_publishes(database: Database) -> None:
    boards = Boards(database)
    assert not boards.publish(Board(1.0, "a"))
    assert Leases(database).hold("a")
    expire(database)
    assert Leases(database).hold("b")
    assert not boards.publish(Board(1.0, "a")), "it slept while the lease went on"
    assert boards.latest() == Board()


def test_events_come_back_oldest_first_from_where_one_left_off(database: Database) -> None:
    journal = Journal(database)
    journal.write([Event(float(number), "drain", f"n{number}", "ann", "disk") for number in range(5)], {}, [])
    newest = journal.events(limit=2)
    assert [event.node for event in newest] == ["n3", "n4"]
    first = journal.events()[0]
    assert first.id is not None
    assert [event.node for event in journal.events(since=first.id, limit=2)] == ["n1", "n2"]
    assert (first.at, first.kind, first.by, first.reason) == (0.0, "drain", "ann", "disk")


def test_counters_add_up_over_workers(database: Database) -> None:
    journal = Journal(database)
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda _: journal.write([], {"placed": 2, "tries": 3}, []), range(10)))
    assert journal.counters() == {"placed": 20, "tries": 30}


def test_what_was_counted_shows_in_the_minute_in_which_it_happened(database: Database) -> None:
    journal = Journal(database)
    journal.write([], {"placed": 2}, [])
    with database.writing() as connection:
        connection.execute(text("UPDATE minutes SET minute = minute - 3"))
    journal.write([], {"placed": 5, "tries": 6}, [])
    journal.write([], {"placed": 1}, [])
    minutes = journal.minutes(10)
    # The clock may have gone on to the next minute in between.
    assert sum(minutes["placed"]) == 8
    assert sum(minutes["placed"][:-2]) == 2
    assert sum(minutes["placed"][-2:]) == 6
    assert len(minutes["tries"]) == 10
    assert "placed" not in journal.minutes(2) or sum(journal.minutes(2)["placed"]) == 6


def test_minutes_of_the_day_before_are_forgotten(database: Database) -> None:
    journal = Journal(database)
    journal.write([], {"placed": 2}, [])
    with database.writing() as connection:
        connection.execute(text("UPDATE minutes SET minute = minute - 1500"))
    journal.write([], {"placed": 1}, [])
    journal.forget()
    assert sum(journal.minutes(2000)["placed"]) == 1


def test_events_are_found_by_their_time(database: Database) -> None:
    journal = Journal(database)
    journal.write([Event(float(number), "drain", f"n{number}") for number in range(5)], {}, [])
    assert [event.node for event in journal.events(not_before=3.0)] == ["n3", "n4"]
    first = journal.events()[0]
    assert [event.node for event in journal.events(first.id or 0, limit=1, not_before=2.0)] == ["n2"]


def test_passive_checks_are_taken_once(database: Database) -> None:
    journal = Journal(database)
    journal.write([], {}, [PassiveCheck("n1", passed=False, reason="late"), PassiveCheck("n2", passed=True)])
    assert journal.take_passive_checks() == [
        PassiveCheck("n1", passed=False, reason="late"),
        PassiveCheck("n2", passed=True),
    ]
    assert journal.take_passive_checks() == []


def test_passive_checks_that_nobody_took_for_long_are_taken_bit_by_bit(database: Database) -> None:
    journal = Journal(database)
    for _ in range(7):
        # One write of all would outlast what a statement may take on a busy machine.
        journal.write([], {}, [PassiveCheck("n1", passed=False)] * 10_000)
    taken = 0
    while passive_checks := journal.take_passive_checks():
        taken += len(passive_checks)
    assert taken == 70_000


def test_nobody_waits_for_a_connection_longer_than_for_the_database_itself(database: Database) -> None:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.timeout() == (BUSY_SECONDS if database.dialect == "sqlite" else ANSWER_SECONDS)


def test_old_events_are_forgotten(database: Database) -> None:
    journal = Journal(database)
    journal.write([Event(float(number), "drain", f"n{number}") for number in range(5)], {}, [])
    journal.forget(keep=3)
    assert [event.node for event in journal.events()] == ["n2", "n3", "n4"]
    journal.forget(keep=3)
    assert len(journal.events()) == 3


def test_sqlite_keeps_its_file_to_itself(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state/fleet.db")
    migrate(database)
    with Registry(database).changing() as change:
        change.add(a_node())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    database.close()
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_place_where_sqlite_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseAwayError) as caught:
        migrate(Database(f"sqlite:///{tmp_path}/file/fleet.db"))
    assert "cannot use" in str(caught.value)


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "fleet.db").write_bytes(os.urandom(4096))
    database = Database(f"sqlite:///{tmp_path}/fleet.db")
    with pytest.raises(DatabaseAwayError) as caught:
        migrate(database)
    database.close()
    assert "not a database" in str(caught.value)


@pytest.mark.postgres
def test_a_server_that_stops_is_away_and_one_that_comes_back_is_used_again(cluster: PostgresCluster) -> None:
    database = Database(cluster.create("restarted"))
    migrate(database)
    leases = Leases(database)
    assert leases.hold("a")
    cluster.stop()
    with pytest.raises(DatabaseAwayError):
        leases.hold("a")
    with pytest.raises(DatabaseAwayError):
        Boards(database).latest()
    cluster.start()
    assert leases.hold("a")
    leases.release("a", POLLER)
    database.close()


def test_an_error_shows_neither_statement_nor_parameters(database: Database) -> None:
    with Registry(database).changing() as change:
        change.add(a_node(token="hunter2"))
    with pytest.raises(DatabaseAwayError) as caught, Registry(database).changing() as change:
        change.add(a_node(token="hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "INSERT" not in str(caught.value)
