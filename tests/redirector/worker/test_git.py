"""Repositories of a real git server: what is taken, what is refused, and forges that are ill."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from redirector.worker.errors import FetchError, TreeError
from redirector.worker.tree import Bounds
from tests.redirector.worker.conftest import Unpacked, git_tree, limits
from tests.support.forge import (
    Executable,
    Forge,
    ForgeHandler,
    Link,
    Submodule,
    failing,
    garbled,
    hanging,
    redirecting,
)


def fetched(forge: Forge, scratch: Path, ref: str = "HEAD", token: str = "") -> Unpacked:
    result = git_tree(forge, "course", scratch, ref, token=token)
    assert result is not None
    return result


def test_a_commit_becomes_a_tar_of_plain_files(forge: Forge, scratch: Path) -> None:
    commit = forge.repository("course").commit(
        {"lesson ü.ipynb": b"{}", "data/a.csv": "1,2\n", "run.sh": Executable(b"#!/bin/sh\n"), "empty": b""}
    )
    result = fetched(forge, scratch)
    assert result.version == commit
    assert result.files == {"lesson ü.ipynb": b"{}", "data/a.csv": b"1,2\n", "run.sh": b"#!/bin/sh\n", "empty": b""}
    assert [(member.name, oct(member.mode), member.mtime, member.uid) for member in result.members] == [
        ("data/a.csv", "0o644", 0, 0),
        ("empty", "0o644", 0, 0),
        ("lesson ü.ipynb", "0o644", 0, 0),
        ("run.sh", "0o755", 0, 0),
    ]


@pytest.mark.parametrize("kind", ["branch", "tag", "commit"])
def test_a_ref_is_a_branch_a_tag_or_a_commit(forge: Forge, scratch: Path, kind: str) -> None:
    repository = forge.repository("course")
    old = repository.commit({"a": "old"}, "autumn")
    repository.git("tag", "-a", "-m", "t", "v1", old)
    repository.commit({"a": "new"})
    ref = {"branch": "autumn", "tag": "v1", "commit": old}[kind]
    result = fetched(forge, scratch, ref)
    assert (result.version, result.files) == (old, {"a": b"old"})
    assert git_tree(forge, "course", scratch, ref, known=old) is None


def test_the_same_commit_is_not_fetched_again_and_a_new_one_is(forge: Forge, scratch: Path) -> None:
    repository = forge.repository("course")
    commit = repository.commit({"a": "1"})
    assert git_tree(forge, "course", scratch, known=commit) is None
    repository.commit({"a": "2"})
    result = git_tree(forge, "course", scratch, known=commit)
    assert result is not None
    assert result.files == {"a": b"2"}


def test_only_one_commit_of_a_long_history_is_fetched(forge: Forge, scratch: Path) -> None:
    repository = forge.repository("course")
    for number in range(5):
        repository.commit({"a": str(number)})
    fetched(forge, scratch)
    assert (scratch / "repository/shallow").read_text().count("\n") == 1


def test_links_inside_become_copies_and_links_to_nothing_are_told(forge: Forge, scratch: Path) -> None:
    forge.repository("course").commit(
        {"data/a": "A", "one": Link("data/a"), "docs/data": Link("../data"), "gone": Link("nothing")}
    )
    result = fetched(forge, scratch)
    assert result.files == {"data/a": b"A", "docs/data/a": b"A", "one": b"A"}
    assert "1 links that lead to nothing" in result.needs


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a": Link("/etc/passwd")}, "out of the tree"),
        ({"d/a": Link("../../x")}, "out of the tree"),
        ({"a": Link("b"), "b": Link("a")}, "circle"),
        ({"d/a": Link(".")}, "lies in"),
        ({b"caf\xe9": "x"}, "UTF-8"),
        ({"a\nb": "x"}, "no name of a file"),
    ],
)
def test_trees_that_would_surprise_are_refused(
    forge: Forge, scratch: Path, files: dict[str | bytes, bytes | str | Link], words: str
) -> None:
    forge.repository("course").commit({**files})
    with pytest.raises(TreeError, match=words):
        fetched(forge, scratch)


@pytest.mark.parametrize("name", ["..", ".git", "a/b"])
def test_git_itself_refuses_names_that_no_tree_has(forge: Forge, scratch: Path, name: str) -> None:
    forge.repository("course").commit_tree([("100644", name, b"x")])
    with pytest.raises(FetchError, match="refuses"):
        fetched(forge, scratch)


def test_submodules_and_lfs_are_told_in_words(forge: Forge, scratch: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    forge.repository("course").commit(
        {
            "big.bin": pointer,
            "other": Submodule(),
            "requirements.txt": "numpy==1.26  # pinned\n-e .\n# no\npandas\n",
            "binder/environment.yml": "dependencies:\n  - python=3.11\n  - conda-forge::scipy\n  - pip:\n    - rich\n",
            "postBuild": "rm -rf /",
        }
    )
    needs = fetched(forge, scratch).needs
    for words in ("numpy, pandas", "python, scipy, rich", "not run: postBuild", "1 Git LFS", "1 submodules"):
        assert words in needs
    assert len(needs) <= 400


def test_too_many_files_and_too_many_bytes_are_refused_before_they_are_read(forge: Forge, scratch: Path) -> None:
    repository = forge.repository("course")
    repository.commit({f"f{number}": "x" for number in range(30)})
    with pytest.raises(TreeError, match="more than 29 files"):
        git_tree(forge, "course", scratch, bounds=Bounds(29, 1000))
    with pytest.raises(TreeError, match="more than 29 bytes"):
        git_tree(forge, "course", scratch, bounds=Bounds(1000, 29))


def test_a_hundred_thousand_files_are_refused(forge: Forge, scratch: Path) -> None:
    forge.repository("course").commit({f"d{number % 100}/f{number}": "x" for number in range(100_000)})
    with pytest.raises(TreeError, match="more than 1000 files"):
        fetched(forge, scratch)


def test_a_repository_that_outgrows_the_disk_bound_is_given_up(forge: Forge, scratch: Path) -> None:
    forge.repository("course").commit({"noise": os.urandom(4_000_000)})
    with pytest.raises(FetchError, match="bytes of disk"):
        git_tree(forge, "course", scratch, within=limits(disk_bytes=1_000_000))


def test_a_slow_forge_is_given_up_at_the_deadline(forge: Forge, scratch: Path) -> None:
    forge.repository("course")
    forge.behaviour = hanging
    began = time.monotonic()
    with pytest.raises(FetchError, match="not fetched within 1 s"):
        git_tree(forge, "course", scratch, within=limits(seconds=1))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("behaviour", [garbled, failing], ids=["garbled", "failing"])
def test_an_ill_forge_is_an_error_in_words(forge: Forge, scratch: Path, behaviour: object) -> None:
    forge.behaviour = behaviour  # type: ignore[assignment]  # one of the two
    with pytest.raises(FetchError):
        fetched(forge, scratch)


def test_a_garbled_pack_is_an_error_in_words(forge: Forge, scratch: Path) -> None:
    forge.repository("course").commit({"a": "x"})
    forge.behaviour = lambda handler: handler.command == "POST" and garbled(handler)
    with pytest.raises(FetchError):
        fetched(forge, scratch)


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_is_not_followed(forge: Forge, scratch: Path, target: str) -> None:
    forge.behaviour = redirecting(target)
    with pytest.raises(FetchError):
        fetched(forge, scratch)


def test_a_forge_that_is_away_is_an_error_in_words(forge: Forge, scratch: Path) -> None:
    forge.port = 1
    with pytest.raises(FetchError, match="git says"):
        fetched(forge, scratch)


@pytest.mark.parametrize("ref", ["nowhere", "0" * 39 + "1"])
def test_an_unknown_ref_is_told(forge: Forge, scratch: Path, ref: str) -> None:
    forge.repository("course").commit({"a": "x"})
    with pytest.raises(FetchError, match="no such repository, branch, tag or commit"):
        fetched(forge, scratch, ref)


def test_a_commit_that_disappears_while_it_is_fetched_is_told(forge: Forge, scratch: Path) -> None:
    repository = forge.repository("course")
    repository.commit({"a": "x"})

    def vanish(handler: ForgeHandler) -> bool:
        if handler.command == "POST" and len(forge.requests) == 3:
            # The list of refs is out, and now the commit goes.
            repository.git("update-ref", "-d", "refs/heads/main")
            repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
            repository.git("prune", "--expire=now")
        return False

    forge.behaviour = vanish
    with pytest.raises(FetchError):
        fetched(forge, scratch)
    assert len(forge.requests) == 3


def test_a_token_opens_a_private_repository_and_stays_out_of_messages(forge: Forge, scratch: Path) -> None:
    forge.token = "secret-token-of-a-test"
    forge.repository("course").commit({"a": "x"})
    with pytest.raises(FetchError, match="wants a login"):
        fetched(forge, scratch)
    with pytest.raises(FetchError, match="wants a login") as refused:
        fetched(forge, scratch, token="another-token-of-a-test")
    assert "another" not in str(refused.value)
    assert fetched(forge, scratch, token=forge.token).files == {"a": b"x"}
