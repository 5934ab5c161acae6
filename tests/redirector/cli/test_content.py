"""`tmpnb content` against a real redirector with its worker, and a node that holds what it is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from redirector.cli import main
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.served import TOKEN, Served
from tests.support.waiting import wait_until

Run = Callable[..., Result]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(
        tmp_path / "state",
        TMPNB_CONTENT_WORKER="1",
        TMPNB_ENTRY_URL="https://entry.example.org",
        TMPNB_CONTENT_CHECK_SECONDS="5",
    )
    try:
        served.wait_until_up()
        yield served
    finally:
        served.stop()


@pytest.fixture
def node(nodes: FakeNodes, served: Served) -> FakeNode:
    node = nodes.add("n1")
    served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    served.wait_until_known(5)
    return node


@pytest.fixture
def tmpnb(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        environ = {"TMPNB_URL": served.url, "TMPNB_TOKEN": TOKEN, "TMPNB_STATE": None, "TMPNB_TOKEN_FILE": None}
        return CliRunner().invoke(main, ["content", *arguments], env=environ)

    return run


@pytest.fixture
def course(tmp_path: Path) -> Path:
    course = tmp_path / "course"
    course.mkdir()
    (course / "lesson 1.ipynb").write_text("{}")
    (course / "requirements.txt").write_text("mesa\n")
    return course


def test_a_content_from_its_name_to_its_end(node: FakeNode, tmpnb: Run, course: Path) -> None:
    added = tmpnb("add", "spring", f"dir:{course}", "--open", "lesson 1.ipynb", "--reason", "term", "--wait")
    assert added.exit_code == 0, added.output
    assert "https://entry.example.org/c/spring" in added.stdout
    assert len(node.blobs) == 1
    listed = tmpnb("list").stdout
    assert "spring" in listed
    assert str(course) in listed
    shown = tmpnb("show", "spring").stdout
    for words in ("opens:     lesson 1.ipynb", "needs:     requirements.txt: mesa", "n1 holds it", "2 files", "term"):
        assert words in shown
    (course / "lesson 2.ipynb").write_text("{}")
    assert tmpnb("refresh", "spring", "--wait").exit_code == 0
    assert json.loads(tmpnb("show", "spring", "--json").stdout)["files"] == 3
    assert tmpnb("remove", "spring").exit_code == 0
    assert tmpnb("show", "spring").exit_code == 1
    assert tmpnb("list", "--json").stdout.count("spring") == 0


@pytest.mark.usefixtures("node")
def test_a_link_is_printed_in_every_form(tmpnb: Run, course: Path) -> None:
    tmpnb("add", "spring", f"dir:{course}")
    printed = tmpnb("link", "spring", "Übung (1).ipynb").stdout
    url = "https://entry.example.org/c/spring/%C3%9Cbung%20(1).ipynb"
    assert f"link:\n{url}\n" in printed
    assert "](https://entry.example.org/c/spring/%C3%9Cbung%20%281%29.ipynb)" in printed
    assert f'<a href="{url}"><img src="https://entry.example.org/badge_logo.svg"' in printed
    assert f":target: {url}" in printed
    assert f'<iframe src="{url}"' in printed
    assert json.loads(tmpnb("link", "spring", "--json").stdout)["url"] == "https://entry.example.org/c/spring"
    assert tmpnb("link", "nope").exit_code == 1


@pytest.mark.usefixtures("node")
def test_what_cannot_be_fetched_is_said_at_once(tmpnb: Run, tmp_path: Path) -> None:
    added = tmpnb("add", "spring", f"dir:{tmp_path}/nothing", "--wait")
    assert added.exit_code == 1
    assert "is no directory" in added.output
    assert "is no directory" in tmpnb("list").stdout
    assert tmpnb("show", "spring").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "Spring", "gh:org/course"], "lower-case"),
        (["add", "~spring", "gh:org/course"], "lower-case"),
        (["add", "spring", "gh:org"], "names no repository"),
        (["add", "spring", "gh:org/course@--upload-pack=x"], "is no branch"),
        (["add", "spring", "ftp://example.org/x.zip"], "is none of"),
        (["add", "spring", "https://user:pass@example.org/x.zip"], "--token-file"),
        (["add", "spring", "gh:org/course", "--pool", "nope"], "no node has a pool"),
        (["add", "spring", "gh:org/course", "--open", "../x"], "open has to be"),
        (["allow", "gh:*"], "names no repository"),
        (["allow", "dir:/etc"], "directory"),
        (["allow", "gh:org/**"], "more than one"),
    ],
)
@pytest.mark.usefixtures("node")
def test_what_makes_no_sense_is_refused_in_one_sentence(tmpnb: Run, arguments: list[str], words: str) -> None:
    refused = tmpnb(*arguments)
    assert refused.exit_code == 2, refused.output
    assert words in refused.stderr
    assert "Traceback" not in refused.output
    assert json.loads(tmpnb("list", "--json").stdout)["contents"] == []


@pytest.mark.usefixtures("node")
def test_a_name_or_a_whole_pool_is_taken_once(tmpnb: Run, course: Path) -> None:
    assert tmpnb("add", "spring", f"dir:{course}", "--whole-pool").exit_code == 0
    again = tmpnb("add", "spring", "gh:org/other")
    assert (again.exit_code, "is taken" in again.stderr) == (1, True)
    other = tmpnb("add", "autumn", "gh:org/other", "--whole-pool")
    assert (other.exit_code, "without --whole-pool" in other.stderr) == (1, True)


@pytest.mark.usefixtures("node")
def test_links_are_allowed_and_denied(tmpnb: Run) -> None:
    assert "allowed" in tmpnb("allow", "gh:org/*").stdout
    assert "was allowed already" in tmpnb("allow", "gh:org/*").stdout
    assert "links may ask for gh:org/* in pool default" in tmpnb("list").stdout
    assert tmpnb("deny", "gh:org/*").exit_code == 0
    assert tmpnb("deny", "gh:org/*").exit_code == 1


@pytest.mark.usefixtures("node")
def test_a_token_is_read_from_a_file_and_never_shown(tmpnb: Run, served: Served, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ghp_s3cret\n")
    (tmp_path / "token").chmod(0o600)
    added = tmpnb("add", "exam", "git+https://127.0.0.1:1/exam", "--token-file", "token")
    assert added.exit_code == 0, added.output
    everything = added.output + tmpnb("show", "exam", "--json").output + tmpnb("list", "--json").output
    everything += served.admin("GET", "/api/events").text + served.log.read_text()
    assert "s3cret" not in everything
    assert '"private": true' in everything


def has_files(tmpnb: Run, count: int) -> bool:
    return bool(json.loads(tmpnb("show", "spring", "--json").stdout)["files"] == count)


@pytest.mark.usefixtures("node")
def test_a_forge_s_webhook_has_a_content_fetched(tmpnb: Run, served: Served, course: Path) -> None:
    added = json.loads(tmpnb("add", "spring", f"dir:{course}", "--json").stdout)
    wait_until(lambda: json.loads(tmpnb("show", "spring", "--json").stdout)["digest"], 30, "the first fetch")
    secret, url = added["webhook_secret"], f"{served.url}/api/content/spring/refresh"
    body = b'{"ref": "refs/heads/main"}'
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    calls = [{"X-Hub-Signature-256": signature}, {"X-Gitlab-Token": secret}]
    for number, headers in enumerate(calls):
        (course / f"new {number}").write_text("x")
        answer = requests.post(url, data=body, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (202, {"name": "spring"})
        wait_until(partial(has_files, tmpnb, 3 + number), 30, "the new file")
    for headers in (
        {"X-Hub-Signature-256": signature[:-1] + "x"},
        {"X-Gitlab-Token": "guess"},
        {"X-Hub-Signature-256": "é".encode().decode("latin-1")},
    ):
        assert requests.post(url, data=body, headers=headers, timeout=10).json()["status"] == "forbidden"
    assert (
        requests.post(url.replace("spring", "nope"), headers={"X-Gitlab-Token": secret}, timeout=10).status_code == 403
    )
    assert requests.post(url, timeout=10).status_code == 401
    assert secret not in served.log.read_text()


@pytest.mark.usefixtures("node")
def test_status_tells_of_a_source_that_fails_and_of_a_worker_that_is_not_there(
    tmpnb: Run, served: Served, tmp_path: Path
) -> None:
    tmpnb("add", "spring", f"dir:{tmp_path}/nothing")
    wait_until(lambda: "content spring is not fetched" in served.admin("GET", "/api/fleet").text, 30, "the alarm")
    metrics = served.admin("GET", "/metrics").text
    assert "tmpnb_content_alarms 1.0" in metrics
