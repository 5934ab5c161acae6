"""Tests of the directories that route, and of what a crash leaves in them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from node_agent.errors import HostError
from node_agent.pools.ledger import Ledger
from node_agent.pools.steady_clock import SteadyClock

KEY = "abcdefgh" + "2" * 26
OTHER = "hgfedcba" + "3" * 26
TICKET = "a-ticket-0123456789-0123456789"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.prepare()
    return made


def test_a_new_directory_is_open_to_any_user_of_an_image_until_it_is_sealed(tmp_path: Path, ledger: Ledger) -> None:
    directory = ledger.create(KEY)
    assert directory == tmp_path / "ready" / KEY
    assert stat.S_IMODE(directory.stat().st_mode) == 0o777
    assert not ledger.directory_states()[KEY].sealed
    ledger.seal(KEY)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert ledger.directory_states()[KEY].sealed


def test_a_claim_moves_the_directory_to_where_nginx_looks(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    claimed_at = ledger.claim(KEY, TICKET)
    assert (tmp_path / "user" / KEY).is_dir()
    assert not (tmp_path / "ready" / KEY).exists()
    assert ledger.ticket_holder(TICKET) == KEY
    assert ledger.directory_states()[KEY].claimed_at == claimed_at
    assert ledger.socket(KEY, claimed=True) == tmp_path / "user" / KEY / "jupyter.sock"


def test_a_claim_that_is_undone_leaves_the_sandbox_to_the_next(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    ledger.put_back(KEY)
    assert (tmp_path / "ready" / KEY).is_dir()
    assert list((tmp_path / "tickets").iterdir()) == []
    assert ledger.ticket_holder(TICKET) is None
    ledger.claim(KEY, TICKET)
    assert ledger.ticket_holder(TICKET) == KEY


def test_the_time_of_a_claim_outlives_a_restart(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    claimed_at = ledger.claim(KEY, TICKET)
    successor = Ledger(tmp_path)
    successor.prepare()
    successor.recover()
    assert successor.directory_states()[KEY].claimed_at == pytest.approx(claimed_at, abs=1)
    assert successor.ticket_holder(TICKET) == KEY


def test_a_claim_that_a_crash_cut_off_after_its_mark_is_finished(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    (tmp_path / "user" / KEY).rename(tmp_path / "ready" / KEY)
    successor = Ledger(tmp_path)
    successor.recover()
    assert (tmp_path / "user" / KEY).is_dir()
    assert successor.ticket_holder(TICKET) == KEY


def test_marks_of_sandboxes_that_are_gone_are_removed_at_start(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    (tmp_path / "user" / KEY).rmdir()
    Ledger(tmp_path).recover()
    assert list((tmp_path / "tickets").iterdir()) == []


def test_a_ticket_whose_sandbox_is_gone_holds_nothing_and_can_claim_again(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    (tmp_path / "user" / KEY).rmdir()
    assert ledger.ticket_holder(TICKET) is None
    ledger.create(OTHER)
    ledger.claim(OTHER, TICKET)
    assert ledger.ticket_holder(TICKET) == OTHER


def test_no_ticket_is_in_a_file_name(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    [mark] = (tmp_path / "tickets").iterdir()
    assert TICKET not in mark.name
    assert len(mark.name) == 64


def test_removing_a_sandbox_removes_its_directory_and_its_mark_and_twice_is_fine(
    tmp_path: Path, ledger: Ledger
) -> None:
    (ledger.create(KEY) / "file").write_text("x")
    ledger.claim(KEY, TICKET)
    ledger.remove(KEY)
    ledger.remove(KEY)
    assert ledger.directory_states() == {}
    assert list((tmp_path / "tickets").iterdir()) == []


def test_what_is_no_sandbox_is_left_alone(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "ready" / "notes").mkdir()
    (tmp_path / "user" / KEY).write_text("a file")
    assert ledger.directory_states() == {}


def test_a_directory_that_was_moved_by_hand_counts_as_claimed(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    (tmp_path / "ready" / KEY).rename(tmp_path / "user" / KEY)
    assert ledger.directory_states()[KEY].claimed_at is not None


def test_the_directories_cannot_be_listed_by_others(tmp_path: Path, ledger: Ledger) -> None:
    assert ledger.directory_states() == {}
    for name in ("ready", "user", "tickets"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o711


def test_an_error_of_the_file_system_says_what_failed_and_no_key(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(HostError) as caught:
        ledger.claim(KEY, TICKET)
    assert KEY not in str(caught.value)
    assert "cannot hand out a sandbox: No such file" in str(caught.value)
    assert list((tmp_path / "tickets").iterdir()) == [], "a claim that failed leaves no mark"
    assert caught.value.__cause__ is None


def test_a_run_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ready").write_text("a file")
    with pytest.raises(HostError, match="cannot prepare the run directory"):
        Ledger(tmp_path).prepare()


def test_directories_on_two_mounts_are_refused_for_no_claim_could_work(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if Path(elsewhere).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is only one file system here")
        (tmp_path / "ready").symlink_to(elsewhere)
        with pytest.raises(HostError, match="must lie on one mount"):
            Ledger(tmp_path).prepare()


def test_clearing_removes_every_sandbox_and_mark_and_leaves_an_agent_at_work(tmp_path: Path, ledger: Ledger) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    ledger.create(OTHER)
    Ledger(tmp_path).clear()
    assert ledger.directory_states() == {}
    assert ledger.ticket_holder(TICKET) is None
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)


def test_clearing_where_nothing_ever_was_is_fine(tmp_path: Path) -> None:
    Ledger(tmp_path / "nowhere").clear()


def at(wall: float, running: float) -> SteadyClock:
    """The clock of an agent that started when the host's said `wall` and had been running for so many seconds."""
    return SteadyClock(lambda: wall, lambda: running)


def test_the_next_agent_knows_the_age_of_a_claim_although_the_hosts_clock_was_set_in_between(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, at(1_700_000_000, running=5000))
    ledger.prepare()
    ledger.create(KEY)
    assert ledger.claim(KEY, TICKET) == 1_700_000_000
    for wall in (1_700_000_100 - 18_000, 1_700_000_100 + 18_000):
        successor = Ledger(tmp_path, at(wall, running=5100))
        successor.recover()
        assert successor.directory_states()[KEY].claimed_at == wall - 100


def test_a_claim_whose_time_was_kept_by_another_clock_is_no_later_than_now(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, at(1_700_000_000, running=5000))
    ledger.prepare()
    ledger.create(KEY)
    ledger.claim(KEY, TICKET)
    [mark] = (tmp_path / "tickets").iterdir()
    for kept, claimed_at in ((1_699_999_000, 1_699_999_000), (1_800_000_000, 1_700_000_000)):
        os.utime(mark, (kept, kept), follow_symlinks=False)
        assert ledger.directory_states()[KEY].claimed_at == claimed_at


def test_a_claim_for_live_code_is_known_after_a_restart_and_the_next_claim_of_it_is_its_own(
    tmp_path: Path, ledger: Ledger
) -> None:
    ledger.create(KEY)
    ledger.claim(KEY, TICKET, embedded=True)

    def found() -> bool:
        after = Ledger(tmp_path)
        after.recover()
        return after.directory_states()[KEY].embedded

    assert found()
    ledger.put_back(KEY)
    ledger.claim(KEY, TICKET)
    assert not found()
