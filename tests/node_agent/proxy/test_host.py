"""Tests of what the host has to be like."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.errors import HostError
from node_agent.proxy import host
from node_agent.settings import table as config
from node_agent.settings.table import NodeSettings

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories to other users")


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        Path(root).chmod(0o755)
        yield Path(root)


def settings(run_dir: Path, **more: str) -> NodeSettings:
    given = {"RUNTIME": "process", "RUN_DIR": str(run_dir), **more}
    return config.load({f"TMPNB_NODE_{name}": value for name, value in given.items()})


def test_a_run_directory_is_one_agents_alone_until_it_lets_go(root: Path) -> None:
    lock = host.take_run_dir(settings(root / "run"))
    with pytest.raises(HostError, match="another agent serves from"):
        host.take_run_dir(settings(root / "run"))
    os.close(lock)
    os.close(host.take_run_dir(settings(root / "run")))


def test_a_lock_that_is_about_to_be_let_go_is_waited_for(root: Path) -> None:
    lock = host.take_run_dir(settings(root / "run"))
    leaving = threading.Timer(0.3, os.close, [lock])
    leaving.start()
    os.close(host.take_run_dir(settings(root / "run"), patience=10))
    leaving.join()


def test_a_run_directory_that_cannot_be_made_is_refused(root: Path) -> None:
    (root / "file").write_text("")
    with pytest.raises(HostError, match="the run directory cannot be used"):
        host.take_run_dir(settings(root / "file" / "run"))


@ROOT
def test_nginxs_workers_may_pass_the_run_directory_and_others_may_not(root: Path) -> None:
    (root / "run").mkdir()
    host.open_to_nginx(settings(root / "run"))
    status = (root / "run").stat()
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert status.st_gid == pwd.getpwnam("www-data").pw_gid


@ROOT
def test_a_closed_directory_above_is_named(root: Path) -> None:
    (root / "shut" / "run").mkdir(parents=True)
    (root / "shut").chmod(0o700)
    with pytest.raises(HostError, match=f"that user may not pass {root}/shut: choose another TMPNB_NODE_RUN_DIR"):
        host.open_to_nginx(settings(root / "shut" / "run"))


@ROOT
def test_a_directory_above_that_nginxs_own_user_or_group_may_pass_is_open(root: Path) -> None:
    nginx = pwd.getpwnam("www-data")
    (root / "own" / "run").mkdir(parents=True)
    os.chown(root / "own", nginx.pw_uid, 0)
    (root / "own").chmod(0o700)
    host.open_to_nginx(settings(root / "own" / "run"))
    os.chown(root / "own", 0, nginx.pw_gid)
    (root / "own").chmod(0o710)
    host.open_to_nginx(settings(root / "own" / "run"))


@ROOT
def test_an_unknown_user_for_nginx_is_refused(root: Path) -> None:
    (root / "run").mkdir()
    with pytest.raises(HostError, match="there is no user nobody-at-all"):
        host.open_to_nginx(settings(root / "run", PROXY_USER="nobody-at-all"))


def test_an_unchanged_configuration_is_left_alone_so_that_nginx_does_not_reload(root: Path) -> None:
    (root / "run").mkdir()
    host.write_proxy_config(settings(root / "run"))
    written = (root / "run" / "nginx.conf").stat()
    host.write_proxy_config(settings(root / "run"))
    assert (root / "run" / "nginx.conf").stat().st_ino == written.st_ino
    host.write_proxy_config(settings(root / "run", FRAME_ANCESTORS="https://journal.example.org"))
    assert "journal.example.org" in (root / "run" / "nginx.conf").read_text()


def test_the_pages_that_nginx_serves_are_readable_by_its_workers(root: Path) -> None:
    (root / "run").mkdir()
    host.write_proxy_config(settings(root / "run"))
    pages = root / "run" / "pages"
    assert stat.S_IMODE(pages.stat().st_mode) == 0o755
    assert "ended" in (pages / "gone.html").read_text()
    assert all(stat.S_IMODE(page.stat().st_mode) == 0o644 for page in pages.glob("*.html"))
