"""The worker as a whole, step by step: real git, a real object store, SQLite, and nodes behind real HTTP."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from redirector.model.board import Board
from redirector.model.content import Content
from redirector.model.events import Event
from redirector.model.nodes import Health, Seen
from redirector.model.sources import parse_source
from redirector.settings import table as config
from redirector.store.blob_rows import BlobRows
from redirector.store.boards import Boards
from redirector.store.contents import Contents
from redirector.store.database import Database
from redirector.store.journal import Journal
from redirector.store.leases import Leases, content_lease, node_lease
from redirector.store.registry import Registry
from redirector.store.schema import migrate
from redirector.store.worker_reports import WorkerReports
from redirector.worker.compose import ContentWorker
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.fleet_values import a_node
from tests.support.forge import Forge, failing, garbled, serving_forge
from tests.support.postgres import PostgresCluster, need_postgres
from tests.support.waiting import wait_until
from tests.support.wire_bytes import packed
from tmpnb_common.wire import parse_stats

ADDED = Event(0.0, "content_added", by="ann")


class Bench:
    """One host's worker with its stores, whose loop turns when the test says so."""

    def __init__(self, root: Path, database_url: str = "", **settings: str) -> None:
        self.root = root
        environ = {
            "TMPNB_STATE": str(root),
            "TMPNB_CONTENT_NETWORKS": "127.0.0.0/8",
            "TMPNB_CONTENT_SECONDS": "20",
            **({"TMPNB_DATABASE_URL": database_url} if database_url else {}),
            **settings,
        }
        self.settings = config.load(environ)
        self.database = Database(self.settings.database_url)
        migrate(self.database)
        self.contents, self.rows = Contents(self.database), BlobRows(self.database)
        self.worker = ContentWorker(self.settings)
        self.nodes: list[FakeNode] = []

    def close(self) -> None:
        self.worker.stop.set()
        self.worker.close()
        self.database.close()

    def add(self, name: str, source: str, **fields: Any) -> None:
        self.contents.add(Content(name, parse_source(source).text, **fields), ADDED)

    def content(self, name: str = "spring") -> Content:
        return self.contents.all()[name]

    def know(self, *nodes: FakeNode) -> None:
        """Have the fleet know nodes as a poll of now sees them."""
        registry = Registry(self.database)
        for node in nodes:
            if node not in self.nodes:
                self.nodes.append(node)
                with registry.changing() as change:
                    change.add(a_node(node.name, url=node.url, token=node.token, node_id=node.node_id))
        seen = {node.name: Seen(Health.UP, stats=parse_stats(packed(node.stats()))) for node in self.nodes}
        Leases(self.database).hold("the-poller")
        assert Boards(self.database).publish(Board(time.time(), "the-poller", seen))

    def turn(self, times: int = 2) -> bool:
        """Whole turns: what is due is done. False, so that a condition may turn before it looks."""
        for _ in range(times):
            self.know()
            # Every turn looks around, as one in fifteen does.
            self.worker.loop._ticks = 0
            self.worker.loop.tick()
            self.worker.loop.settle()
        return False


@contextmanager
def bench_at(root: Path, database_url: str = "", **settings: str) -> Iterator[Bench]:
    bench = Bench(root, database_url, **settings)
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_at(tmp_path / "host") as bench:
        yield bench


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


def git(forge: Forge, name: str = "course") -> str:
    return f"git+{forge.address_of(name)}"


# Fetching


def test_a_content_is_fetched_kept_and_told(bench: Bench, forge: Forge) -> None:
    commit = forge.repository("course").commit({"a.ipynb": b"{}", "requirements.txt": "numpy\nmesa==2\n"})
    bench.add("spring", git(forge))
    bench.turn()
    content = bench.content()
    assert (content.commit, content.files, content.problem, content.wanted_at) == (commit, 2, "", 0.0)
    assert "mesa" in content.needs
    with bench.worker.blobs.opened(content.digest) as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == content.digest
        assert path.stat().st_size == content.size
    assert [event.kind for event in Journal(bench.database).events()] == ["content_added", "content_fetched"]
    assert not list((bench.root / "worker").rglob("fetch-*"))


def test_a_new_commit_comes_at_the_next_look_and_the_same_one_is_not_fetched(bench: Bench, forge: Forge) -> None:
    repository = forge.repository("course")
    repository.commit({"a": "1"})
    bench.add("spring", git(forge))
    bench.turn()
    first, asked = bench.content(), len(forge.requests)
    bench.contents.want_refresh("spring")
    bench.turn()
    assert (bench.content().digest, bench.content().wanted_at) == (first.digest, 0.0)
    assert not any("git-upload-pack" in path and "info" not in path for path, _ in forge.requests[asked:-1])
    repository.commit({"a": "2"})
    bench.contents.want_refresh("spring")
    bench.turn()
    assert bench.content().digest != first.digest


def test_a_directory_and_an_archive_are_contents_too(bench: Bench, forge: Forge, tmp_path: Path) -> None:
    lesson = tmp_path / "lesson"
    lesson.mkdir()
    (lesson / "a.ipynb").write_text("{}")
    shutil.make_archive(str(tmp_path / "packed"), "zip", lesson)
    forge.files["/packed.zip"] = (tmp_path / "packed.zip").read_bytes()
    bench.add("here", f"dir:{lesson}")
    bench.add("there", f"{forge.url}/packed.zip")
    bench.turn()
    assert bench.content("here").digest == bench.content("there").digest != ""


@pytest.mark.parametrize("behaviour", [failing, garbled])
def test_a_forge_in_trouble_leaves_the_last_good_commit(bench: Bench, forge: Forge, behaviour: Any) -> None:
    repository = forge.repository("course")
    repository.commit({"a": "1"})
    bench.add("spring", git(forge))
    bench.turn()
    good = bench.content()
    forge.behaviour = behaviour
    repository.commit({"a": "2"})
    bench.contents.want_refresh("spring")
    bench.turn()
    ill = bench.content()
    assert (ill.digest, ill.commit, bool(ill.problem)) == (good.digest, good.commit, True)
    assert ill.problem_since > 0
    assert [event.kind for event in Journal(bench.database).events()][-1] == "content_failed"
    forge.behaviour = None
    bench.contents.want_refresh("spring")
    bench.turn()
    assert bench.content().problem == ""
    assert bench.content().digest != good.digest


def test_a_content_that_fails_is_not_asked_for_again_at_once(bench: Bench, forge: Forge) -> None:
    bench.add("spring", git(forge, "nothing-there"))
    bench.turn(1)
    asked = len(forge.requests)
    assert bench.content().problem
    bench.turn(3)
    assert len(forge.requests) == asked


def test_what_one_content_brings_about_is_not_another_one_s_trouble(
    bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.repository("course").commit({"a": "1"})
    bench.add("spring", git(forge))
    bench.add("weird", git(forge, "weird"))
    fetcher = bench.worker.loop._fetching._fetcher
    real = fetcher.fetch

    def fetch(content: Content) -> Any:
        if content.name == "weird":
            raise ZeroDivisionError
        return real(content)

    monkeypatch.setattr(fetcher, "fetch", fetch)
    bench.turn()
    assert bench.content("weird").problem == "it cannot be read (ZeroDivisionError)"
    assert bench.content("spring").digest


def test_a_lost_blob_is_fetched_again(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    bench.add("spring", git(forge))
    bench.turn()
    digest = bench.content().digest
    [blob] = list((bench.root / "blobs").rglob(digest))
    blob.write_bytes(b"altered on the disk")
    node = nodes.add("n1")
    bench.know(node)
    bench.turn(4)
    wait_until(lambda: bench.turn() or digest in node.blobs, 30, "the mended blob at the node")
    assert node.blobs == {digest}
    assert bench.content().digest == digest


def test_a_store_of_another_database_keeps_contents_off(bench: Bench, forge: Forge, tmp_path: Path) -> None:
    forge.repository("course").commit({"a": "1"})
    bench.turn()
    with bench_at(tmp_path / "other", TMPNB_BLOBS=f"file://{bench.root}/blobs") as other:
        other.add("spring", git(forge))
        other.turn()
        assert other.content().digest == ""
        [report] = WorkerReports(other.database).all()
        assert "another database" in report.problem
    [report] = WorkerReports(bench.database).all()
    assert report.problem == ""


def test_a_store_that_is_full_refuses_and_what_is_named_stays(tmp_path: Path, forge: Forge) -> None:
    with bench_at(tmp_path / "host", TMPNB_BLOBS_LIMIT="40k") as bench:
        one = forge.repository("one")
        one.commit({"a": b"1" * 30_000})
        bench.add("one", git(forge, "one"))
        bench.turn()
        first = bench.content("one").digest
        one.commit({"a": b"2" * 30_000})
        bench.contents.want_refresh("one")
        bench.turn()
        second = bench.content("one").digest
        # The former one goes before the next fetch, as nobody has it any more.
        bench.contents.want_refresh("one")
        bench.turn()
        assert set(bench.rows.all()) == {second} != {first}
        forge.repository("two").commit({"a": b"3" * 30_000})
        bench.add("two", git(forge, "two"))
        bench.turn()
        forge.repository("three").commit({"a": b"4"})
        bench.add("three", git(forge, "three"))
        bench.turn()
        assert "TMPNB_BLOBS_LIMIT" in bench.content("three").problem
        assert second in bench.rows.all()


# Pushing


def test_nodes_hold_what_their_pools_serve_before_anybody_asks(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    here, there, old = nodes.add("n1"), nodes.add("n2", pools={"r": 1}), nodes.add("n3", holds_content=False)
    bench.know(here, there, old)
    bench.add("spring", git(forge), pool="r")
    bench.turn(3)
    digest = bench.content().digest
    assert (here.blobs, there.blobs, old.blobs) == (set(), {digest}, set())
    assert {node: row.state for node, row in bench.rows.holders()[digest].items()} == {"n2": "there"}


def test_a_pool_s_homes_are_made_with_its_content_and_no_longer_once_it_goes(
    bench: Bench, forge: Forge, nodes: FakeNodes
) -> None:
    forge.repository("course").commit({"a": "1"})
    node = nodes.add("n1")
    bench.know(node)
    bench.add("spring", git(forge), whole_pool=True)
    bench.turn(3)
    assert node.contents == {"default": bench.content().digest}
    bench.contents.remove("spring", ADDED)
    bench.turn(3)
    assert node.contents == {"default": ""}


def test_a_node_that_was_away_catches_up(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    node = nodes.add("n1", mood="failing")
    bench.know(node)
    bench.add("spring", git(forge))
    bench.turn(3)
    assert node.blobs == set()
    node.mood = "well"
    wait_until(lambda: bench.turn() or node.blobs, 30, "the blob")
    # And one that lost its disk: it is asked what it holds as soon as it has started again.
    node.blobs.clear()
    node.restart()
    wait_until(lambda: bench.turn() or node.blobs, 30, "the blob once more")


def test_what_a_visitor_waits_for_comes_first_and_once(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    link = bench.contents.want_link(parse_source(git(forge)), "default")
    bench.turn()
    digest = bench.content(link.name).digest
    node = nodes.add("n1")
    bench.know(node)
    bench.turn()
    assert node.blobs == set(), "what links asked for is sent where somebody wants it"
    for _ in range(40):
        bench.rows.want_push("n1", digest)
    bench.turn()
    assert node.blobs == {digest}
    assert len([asked for asked in node.asked if asked.method == "PUT"]) == 1
    assert bench.rows.wanted() == []


def test_a_node_that_refuses_is_told_about_and_harms_no_other(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    full, well = nodes.add("n1", refuses_blobs="no room: blobs that are needed take it all"), nodes.add("n2")
    bench.know(full, well)
    bench.add("spring", git(forge))
    bench.turn(3)
    rows = bench.rows.holders()[bench.content().digest]
    assert (rows["n1"].state, "no room" in rows["n1"].problem, rows["n2"].state) == ("failed", True, "there")


def test_a_content_that_fills_homes_is_told_about(bench: Bench, forge: Forge, nodes: FakeNodes) -> None:
    forge.repository("course").commit({"a": "1"})
    node = nodes.add("n1", homes={"default": 15})
    bench.know(node)
    bench.add("spring", git(forge))
    bench.turn(2)
    node.restart()
    bench.turn(2)
    row = bench.rows.holders()[bench.content().digest]["n1"]
    assert "TMPNB_NODE_HOME" in row.problem


# Several workers


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that several hosts may use."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fleet.db"
        return
    cluster = PostgresCluster(need_postgres())
    yield cluster.create("fleet")
    cluster.remove()


def test_of_two_hosts_one_fetches_and_one_pushes_and_another_takes_over(
    tmp_path: Path, forge: Forge, nodes: FakeNodes, shared_database: str
) -> None:
    forge.repository("course").commit({"a": "1"})
    node = nodes.add("n1")
    with ExitStack() as stack:
        shared = f"file://{tmp_path}/blobs"
        (tmp_path / "blobs").mkdir()
        one = stack.enter_context(bench_at(tmp_path / "one", shared_database, TMPNB_BLOBS=shared))
        two = stack.enter_context(bench_at(tmp_path / "two", shared_database, TMPNB_BLOBS=shared))
        one.know(node)
        two.nodes = one.nodes
        one.add("spring", git(forge))
        # As a host that died in the middle: its leases expire by themselves.
        dead = Leases(one.database)
        assert dead.hold("a-dead-worker", content_lease("spring"))
        assert dead.hold("a-dead-worker", node_lease("n1"))
        one.turn(1)
        assert one.content().digest == ""
        wait_until(lambda: one.turn(1) or two.turn(1) or node.blobs, 30, "another host to take over")
        assert len([asked for asked in node.asked if asked.method == "PUT"]) == 1
        fetched = [event for event in Journal(one.database).events() if event.kind == "content_fetched"]
        assert len(fetched) == 1


def test_a_forge_s_address_is_refused_where_no_network_is_listed(tmp_path: Path, forge: Forge) -> None:
    forge.repository("course").commit({"a": "1"})
    with bench_at(tmp_path / "host", TMPNB_CONTENT_NETWORKS="") as bench:
        bench.add("spring", git(forge))
        bench.turn()
        assert "TMPNB_CONTENT_NETWORKS" in bench.content().problem
        assert forge.requests == []


def test_a_private_repository_needs_its_token(tmp_path: Path) -> None:
    with serving_forge(tmp_path / "forge") as forge, bench_at(tmp_path / "host") as bench:
        forge.repository("course").commit({"a": "1"})
        forge.token = "s3cr3t-token"
        bench.add("open", git(forge))
        bench.add("spring", git(forge), token="s3cr3t-token")
        bench.turn()
        assert bench.content("open").problem
        assert bench.content().digest
        assert "s3cr3t" not in str([event.reason for event in Journal(bench.database).events()])
