"""Directories of the redirector's host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redirector.worker.directories import fetch_directory
from redirector.worker.errors import FetchError, TreeError
from redirector.worker.tree import Bounds
from tests.redirector.worker.conftest import BOUNDS, Unpacked, limits


def fetch(path: Path, known: str = "", bounds: Bounds = BOUNDS) -> Unpacked | None:
    with fetch_directory(path, known, bounds, limits()) as fetched:
        return None if fetched is None else Unpacked(fetched)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    path = tmp_path / "course"
    (path / "data").mkdir(parents=True)
    (path / "data/b.csv").write_bytes(b"1")
    (path / "a.ipynb").write_bytes(b"{}")
    (path / ".git").mkdir()
    (path / ".git/config").write_bytes(b"x")
    return path


def test_its_files_are_taken_and_what_belongs_to_tools_is_left(course: Path) -> None:
    (course / "link").symlink_to("data")
    result = fetch(course)
    assert result is not None
    assert result.files == {"a.ipynb": b"{}", "data/b.csv": b"1", "link/b.csv": b"1"}


def test_it_is_read_again_only_once_it_has_changed(course: Path) -> None:
    first = fetch(course)
    assert first is not None
    assert fetch(course, first.version) is None
    (course / "a.ipynb").write_bytes(b"{ }")
    second = fetch(course, first.version)
    assert second is not None
    assert second.files["a.ipynb"] == b"{ }"


def test_links_out_of_it_and_devices_are_refused(course: Path) -> None:
    (course / "out").symlink_to("/etc")
    with pytest.raises(TreeError, match="out of the tree"):
        fetch(course)
    (course / "out").unlink()
    os.mkfifo(course / "pipe")
    with pytest.raises(TreeError, match="device"):
        fetch(course)


def test_a_file_that_becomes_a_link_meanwhile_is_not_followed(course: Path) -> None:
    with fetch_directory(course, "", BOUNDS, limits()) as fetched:
        assert fetched is not None
        (course / "a.ipynb").unlink()
        (course / "a.ipynb").symlink_to("/etc/passwd")
        with pytest.raises(FetchError, match="cannot be read"):
            Unpacked(fetched)


def test_a_file_that_shrinks_meanwhile_is_told(course: Path) -> None:
    with fetch_directory(course, "", BOUNDS, limits()) as fetched:
        assert fetched is not None
        (course / "a.ipynb").write_bytes(b"")
        with pytest.raises(TreeError, match="shorter"):
            Unpacked(fetched)


def test_names_that_are_not_utf8_are_refused(course: Path) -> None:
    (Path(os.fsdecode(os.fsencode(course) + b"/caf\xe9"))).write_bytes(b"x")
    with pytest.raises(TreeError, match="UTF-8"):
        fetch(course)


def test_an_absent_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no directory"):
        fetch(tmp_path / "nothing")
