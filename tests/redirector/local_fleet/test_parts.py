"""The parts of a local fleet that touch the machine: its directory, lock, signals, ports and processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from redirector.local_fleet.child import LONGEST_PATIENCE_SECONDS, Child, begin_log, bound_log, in_words, patience
from redirector.local_fleet.directory import FleetDirectory, write_durably
from redirector.local_fleet.errors import NotStartedError
from redirector.local_fleet.lock import StateLock
from redirector.local_fleet.machine import check_ports, check_programs, make_run_root
from redirector.local_fleet.plan import MARK, ChildPlan
from redirector.local_fleet.processes import (
    ChildRecord,
    ProcessFinder,
    is_alive,
    kill,
    read_records,
    write_records,
)
from redirector.local_fleet.stop_request import StopAsked, StopRequest
from tests.support.waiting import wait_until
from tmpnb_common.processes import start_of


@pytest.fixture
def directory(tmp_path: Path) -> FleetDirectory:
    directory = FleetDirectory.at(tmp_path / "state")
    directory.prepare()
    return directory


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    stop = StopRequest()
    yield stop
    stop.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The state directory.


def test_the_admin_token_is_made_once_and_for_its_owner_alone(directory: FleetDirectory) -> None:
    token = directory.ensure_admin_token()
    assert len(token) >= 43
    assert directory.ensure_admin_token() == token
    assert mode(directory.admin_token) == 0o600


def test_an_empty_admin_token_is_refused(directory: FleetDirectory) -> None:
    directory.admin_token.touch()
    with pytest.raises(NotStartedError, match="empty"):
        directory.ensure_admin_token()


def test_a_fresh_state_directory_is_closed_to_others_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    fresh, existing = tmp_path / "a/b", tmp_path / "c"
    existing.mkdir(mode=0o755)
    for path in (fresh, existing):
        FleetDirectory.at(path).prepare()
    assert (mode(fresh), mode(existing)) == (0o700, 0o755)


@pytest.mark.parametrize("path", ["a-file", "a-file/below", "/proc/nothing"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(NotStartedError, match="state directory"):
        FleetDirectory.at(tmp_path / path).prepare()


def test_known_nodes_are_in_the_order_of_their_numbers(directory: FleetDirectory) -> None:
    for name in ("n10", "n2", "n1", "other"):
        directory.node(name).mkdir(parents=True)
    assert directory.known_nodes() == ["n1", "n2", "n10"]


def test_writing_durably_replaces_the_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", "a longer text\n")
    write_durably(tmp_path / "file", "short\n")
    assert (tmp_path / "file").read_text() == "short\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# The lock.


def test_a_second_fleet_from_the_same_state_is_refused_with_the_first_ones_number(
    directory: FleetDirectory, stop: StopRequest
) -> None:
    first = StateLock(directory.lock)
    first.take(stop)
    with pytest.raises(NotStartedError, match=f"pid {os.getpid()}"):
        StateLock(directory.lock).take(stop)
    first.release()
    again = StateLock(directory.lock)
    again.take(stop)
    again.release()


def test_a_fleet_that_is_stopping_is_waited_for(directory: FleetDirectory) -> None:
    class Releasing(StopRequest):
        """Lets the first holder go only after the second has waited longer than it would for one that runs."""

        beats = 0

        def pause(self, seconds: float) -> None:
            assert seconds > 0
            self.beats += 1
            if self.beats == 30:
                first.release()

    waiting = Releasing()
    first = StateLock(directory.lock)
    first.take(waiting)
    first.say_stopping()
    second = StateLock(directory.lock)
    second.take(waiting)
    assert waiting.beats == 30
    second.release()
    waiting.close()


# The request to stop.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_a_wait_and_is_a_wish_to_stop(stop: StopRequest, number: signal.Signals) -> None:
    # The tests themselves may run under nohup.
    before = signal.signal(number, signal.default_int_handler)
    try:
        with stop.listening():
            os.kill(os.getpid(), number)
            with pytest.raises(StopAsked):
                stop.pause(60)
    finally:
        signal.signal(number, before)
    assert not stop.hurried


def test_a_hangup_that_somebody_chose_to_ignore_stays_ignored(stop: StopRequest) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            stop.pause(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_later_second_interrupt_is_a_wish_to_hurry_and_an_echo_of_the_first_is_not() -> None:
    now = 100.0
    stop = StopRequest(clock=lambda: now)
    with stop.listening():
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            stop.wait(60)
        early = stop.hurried
        now += 1
        os.kill(os.getpid(), signal.SIGTERM)
        stop.wait(60)
        other = stop.hurried
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(60)
    stop.close()
    assert (early, other, stop.hurried) == (False, False, True)


def test_handlers_are_as_before_afterwards(stop: StopRequest) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop.listening():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_hangup_that_was_ignored_stays_ignored(stop: StopRequest) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            stop.wait(0)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_end_of_the_parent_is_a_wish_to_stop_where_asked_for(stop: StopRequest) -> None:
    bound = StopRequest(parent=os.getppid())
    orphan = StopRequest(parent=os.getpid())
    assert (bound.asked, orphan.asked, stop.asked) == (False, True, False)
    bound.close()
    orphan.close()


# The machine.


def test_a_port_in_use_is_refused_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotStartedError, match=rf"port {port} is in use by .*pid {os.getpid()}.*--port"):
            check_ports([port])
    check_ports([port])


def test_missing_programs_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="tmpnb"):
        check_programs(tmp_path, {})
    check_programs(Path(sys.executable).parent, {"PATH": ""})


def test_a_run_directory_is_made_and_taken_over_again(tmp_path: Path) -> None:
    for _ in range(2):
        make_run_root(tmp_path / "run", os.getuid())
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_run_directory_that_somebody_else_prepared_is_refused(tmp_path: Path, kind: str) -> None:
    trap = tmp_path / "run"
    if kind == "link":
        trap.symlink_to(tmp_path)
    else:
        trap.touch()
    with pytest.raises(NotStartedError):
        make_run_root(trap, os.getuid())


def test_a_run_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="somebody else"):
        make_run_root(tmp_path, os.getuid() + 1)


# Processes.


def child_plan(tmp_path: Path, script: str, **environ: str) -> ChildPlan:
    return ChildPlan("a child", ("/bin/sh", "-c", script), {"PATH": os.environ["PATH"], **environ}, tmp_path / "log")


@pytest.mark.parametrize(("deaths", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (99, LONGEST_PATIENCE_SECONDS)])
def test_patience_doubles_with_each_death_in_a_row(deaths: int, seconds: float) -> None:
    assert patience(deaths) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("returncode", "words"), [(0, "exit code 0"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")]
)
def test_the_end_of_a_process_is_told_in_words(returncode: int, words: str) -> None:
    assert in_words(returncode) == words


def test_a_death_is_told_once_and_the_child_is_due_again_after_a_while(tmp_path: Path) -> None:
    now = 100.0
    child = Child(child_plan(tmp_path, "echo last words; exit 3"), clock=lambda: now)
    child.start()
    assert wait_until(child.poll_death, 10) == "exit code 3"
    assert child.poll_death() is None
    assert child.last_words() == ["last words"]
    assert not child.is_due
    now += patience(1)
    assert child.is_due


def test_what_a_dead_child_left_of_its_session_ends_with_it(tmp_path: Path) -> None:
    child = Child(child_plan(tmp_path, "sleep 600 & echo $!; exit 0"))
    child.start()
    wait_until(child.poll_death, 10)
    orphan = int(child.last_words()[0])
    wait_until(lambda: not psutil.pid_exists(orphan) or not is_alive(psutil.Process(orphan)), 10)


def test_a_child_that_has_settled_is_started_again_without_delay(tmp_path: Path) -> None:
    now = 100.0
    child = Child(child_plan(tmp_path, "exec sleep 600"), clock=lambda: now)
    for _ in range(3):
        child.start()
        record = child.record
        assert record is not None
        now += 60
        os.kill(record.pid, signal.SIGKILL)
        wait_until(child.poll_death, 10)
    assert child.deaths == 1


def test_a_child_is_started_even_if_the_logs_are_gone(tmp_path: Path) -> None:
    child = Child(ChildPlan("a child", ("/bin/sh", "-c", "exit 0"), {}, tmp_path / "gone" / "log"))
    child.start()
    assert wait_until(child.poll_death, 10) == "exit code 0"
    assert child.last_words() == []


def test_logs_of_the_run_before_are_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text in ("one", "two", "three"):
        begin_log(log)
        log.write_text(text)
    assert (log.read_text(), (tmp_path / "log.1").read_text()) == ("three", "two")


def test_a_log_that_has_grown_too_long_begins_anew_under_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redirector.local_fleet.child.LOG_LIMIT", 10)
    log = tmp_path / "log"
    with log.open("a") as writer:
        for text in ("more than ten bytes", "after"):
            writer.write(text)
            writer.flush()
            bound_log(log)
    assert (log.read_text(), (tmp_path / "log.1").read_text()) == ("after", "more than ten bytes")


def test_records_are_read_back_and_a_broken_file_holds_none(tmp_path: Path) -> None:
    records = [ChildRecord("n1 agent", 12, "a-boot/35")]
    write_records(tmp_path / "records", records)
    assert read_records(tmp_path / "records") == records
    (tmp_path / "records").write_text('[{"name": ')
    assert read_records(tmp_path / "records") == []
    assert read_records(tmp_path / "missing") == []


def sleeper(**environ: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "600"], env=environ, start_new_session=True)


def test_the_census_finds_marked_and_recorded_processes_and_their_sessions_and_no_others(tmp_path: Path) -> None:
    finder = ProcessFinder(tmp_path / "state", tmp_path / "run")
    marked = sleeper(**{MARK: str(tmp_path / "state")})
    recorded, stranger = sleeper(), sleeper(**{MARK: str(tmp_path / "another state")})
    # As nginx: a master without its environment that is gone, and a worker that lives on in its session.
    orphaned = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 >/dev/null & echo $!; read -r _"],
        env={},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert orphaned.stdout is not None
    worker = int(orphaned.stdout.readline())
    records = [
        ChildRecord("recorded", recorded.pid, start_of(recorded.pid)),
        ChildRecord("orphaned", orphaned.pid, start_of(orphaned.pid)),
        ChildRecord("number taken by another", stranger.pid, "another-boot/1000"),
    ]
    orphaned.communicate()
    try:
        assert {process.pid for process in finder.living(records)} == {marked.pid, recorded.pid, worker}
        kill(finder.living(records))
        wait_until(lambda: not finder.living(records), 10)
        assert stranger.poll() is None
    finally:
        for process in (marked, recorded, stranger):
            process.kill()
            process.wait()


def test_the_census_finds_what_lives_in_a_sandboxs_home(tmp_path: Path) -> None:
    finder = ProcessFinder(tmp_path / "state", tmp_path / "run")
    process = sleeper(HOME=f"{tmp_path}/state/nodes/n1/sandboxes/abc/home")
    try:
        assert [each.pid for each in finder.living()] == [process.pid]
    finally:
        process.kill()
        process.wait()


def test_the_census_finds_a_process_that_names_the_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    process = subprocess.Popen(["/usr/bin/tail", "-f", "/dev/null", f"{tmp_path}/run/"], start_new_session=True)
    try:
        found = wait_until(lambda: ProcessFinder(tmp_path / "state", tmp_path / "run").living(), 10)
        assert [each.pid for each in found] == [process.pid]
    finally:
        process.kill()
        process.wait()
