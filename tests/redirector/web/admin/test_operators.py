"""Who did it: names that tokens prove, names that callers claim, and tokens that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.errors import FleetConfigError
from redirector.model.operators import name_problem, parse_token
from redirector.settings.table import load
from tests.redirector.web.admin.test_admin import CALLS, is_error
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

ANN, BOB, SHARED, READER = "token-of-ann-alone-1", "token-of-bob-alone-1", "a-token-of-them-all", "a-token-that-reads"


@pytest.fixture
def named(tmp_path: Path, nodes: FakeNodes) -> Iterator[SteppedWorker]:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{SHARED}\nann={ANN}\nBob={BOB}\n")
    tokens.chmod(0o600)
    with stepped_worker(
        tmp_path / "state", TMPNB_ADMIN_TOKEN="", TMPNB_ADMIN_TOKEN_FILE=str(tokens), TMPNB_READ_TOKEN=READER
    ) as fleet:
        fleet.add(nodes.add("n1"), nodes.add("n2"))
        yield fleet


def who_drained(fleet: SteppedWorker) -> str:
    events = fleet.admin("GET", "/api/events", token=SHARED).get_json()["events"]
    return str(next(event["by"] for event in reversed(events) if event["kind"] == "drain"))


@pytest.mark.parametrize("claimed", [None, "bob", "Bob", "poller", "somebody"])
def test_a_token_with_a_name_says_who_did_it_whatever_the_caller_says(
    named: SteppedWorker, claimed: str | None
) -> None:
    body = {} if claimed is None else {"by": claimed}
    assert named.admin("POST", "/api/nodes/n1/drain", token=ANN, json=body).status_code == 200
    assert who_drained(named) == "ann"


@pytest.mark.parametrize(
    "forged", ["ann", "ANN", "bob", " bob ", "b o b", "\uff41nn", "\u0430nn", "poller", "the node itself"]
)
def test_nobody_else_can_use_a_name_that_a_token_proves(named: SteppedWorker, forged: str) -> None:
    refused = named.admin("POST", "/api/nodes/n1/drain", token=SHARED, json={"by": forged})
    assert is_error(refused, 400, "bad_request")
    assert named.admin("GET", "/api/nodes/n1", token=SHARED).get_json()["intent"] == "active"


def test_without_a_named_token_the_caller_says_who_it_is(named: SteppedWorker) -> None:
    assert named.admin("POST", "/api/nodes/n1/drain", token=SHARED, json={"by": "carla"}).status_code == 200
    assert who_drained(named) == "carla"


@pytest.mark.parametrize(("method", "path"), [*CALLS, ("GET", "/metrics"), ("GET", "/api/place")])
def test_a_token_that_reads_sees_everything_and_changes_nothing(named: SteppedWorker, method: str, path: str) -> None:
    answer = named.admin(method, path, token=READER)
    if method == "GET":
        assert answer.status_code == 200
        assert "a-node-token-for-tests" not in answer.text
    else:
        assert is_error(answer, 403, "read_only")


def test_the_dashboard_knows_who_has_logged_in_by_the_token(named: SteppedWorker) -> None:
    named.web.post("/dashboard/login", data={"token": ANN, "operator": "bob"})
    page = named.web.get("/dashboard").text
    assert ">ann<" in page
    headers = {"X-CSRF-Token": page.split('name="csrf" content="')[1].split('"')[0]}
    assert named.web.post("/dashboard/nodes/n1/drain", json={}, headers=headers).status_code == 200
    assert who_drained(named) == "ann"


@pytest.mark.parametrize(
    ("line", "status"), [(f"ann={ANN}", 303), (f"  ann={ANN} ", 303), (SHARED, 303), (f"ann={SHARED[:-1]}x", 403)]
)
def test_a_whole_line_of_the_token_file_logs_in_as_its_token_does(named: SteppedWorker, line: str, status: int) -> None:
    assert named.web.post("/dashboard/login", data={"token": line}).status_code == status
    assert (named.admin("GET", "/api/fleet", token=line.strip()).status_code == 200) is (status == 303)


def test_a_line_proves_the_name_of_its_token_whatever_name_stands_in_it(named: SteppedWorker) -> None:
    assert named.admin("POST", "/api/nodes/n1/drain", token=f"bob={ANN}", json={}).status_code == 200
    assert who_drained(named) == "ann"


def test_the_dashboard_lets_nobody_log_in_under_a_name_that_a_token_proves(named: SteppedWorker) -> None:
    refused = named.web.post("/dashboard/login", data={"token": SHARED, "operator": "Ann"})
    assert refused.status_code == 400
    assert "Set-Cookie" not in refused.headers


def test_a_screen_logs_in_with_the_token_that_reads(named: SteppedWorker) -> None:
    assert named.web.post("/dashboard/login", data={"token": READER}).status_code == 303
    page = named.web.get("/dashboard").text
    assert 'data-may-change=""' in page
    assert named.web.get("/dashboard/fleet.json").status_code == 200
    headers = {"X-CSRF-Token": page.split('name="csrf" content="')[1].split('"')[0]}
    assert is_error(named.web.post("/dashboard/nodes/n1/drain", json={}, headers=headers), 403, "read_only")


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        (f"ann={ANN} ANN={BOB}", "two tokens of one name"),
        (f"ann={ANN} bob={ANN}", "one token twice"),
        (f"ann={ANN} {ANN}", "one token twice"),
        (f"poller={ANN}", "which the fleet itself has"),
        ("ann=short", "16 to 512"),
        (f"{ANN} {BOB} {SHARED}", "at most two"),
    ],
)
def test_tokens_that_would_leave_it_open_who_did_it_are_refused_at_start(tokens: str, problem: str) -> None:
    with pytest.raises(FleetConfigError, match=problem) as refused:
        load({"TMPNB_ADMIN_TOKEN": tokens})
    assert ANN not in str(refused.value)
    assert BOB not in str(refused.value)


def test_two_tokens_of_one_name_are_refused_over_both_settings(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ann={ANN}")
    file.chmod(0o600)
    with pytest.raises(FleetConfigError, match="one name"):
        load({"TMPNB_ADMIN_TOKEN": f"ann={BOB}", "TMPNB_ADMIN_TOKEN_FILE": str(file)})


def test_a_token_that_reads_is_none_that_changes() -> None:
    with pytest.raises(FleetConfigError, match="TMPNB_READ_TOKEN"):
        load({"TMPNB_ADMIN_TOKEN": f"ann={ANN}", "TMPNB_READ_TOKEN": ANN})


@pytest.mark.parametrize("token", ["c29tZXRoaW5nLXNlY3JldA==", "YWJjZGVmZ2hpamtsbW5vcA="])
def test_a_token_of_base64_is_no_name(token: str) -> None:
    assert (parse_token(token).token, parse_token(token).name) == (token, "")


@pytest.mark.parametrize(
    "name", ["", "  ", "--force", "-x", "a\nb", "x" * 61, "poller", "\u202eann", "\u0430nn", "p\u03bfller"]
)
def test_what_is_no_name_of_an_operator(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize(
    "name",
    [
        "ann",
        "J\u00fcrgen M\u00fcller-L\u00fcdenscheid",
        "\u0410\u043d\u043d\u0430",
        "\u5c71\u7530\u30bf\u30ed\u30fc (Taro)",
        "\u039c\u03b1\u03c1\u03af\u03b1",
    ],
)
def test_names_of_people_everywhere_are_names_of_operators(name: str) -> None:
    assert name_problem(name) == ""
