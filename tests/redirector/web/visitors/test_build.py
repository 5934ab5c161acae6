"""What BinderHub's clients hear at `/build/…`: an event that says how a reader comes in, whatever they ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

PAGE = "https://book.example"
EVENT_SOURCE = {"Accept": "text/event-stream", "Origin": PAGE, "Sec-Fetch-Mode": "cors"}


def event(answer: TestResponse) -> Any:
    """The one event of a stream, as a client reads it."""
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.text.endswith("\n\n")
    [data] = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    "spec", ["gh/org/repo/main", "gl/org%2Frepo/feature%2Fx", "git/https%3A%2F%2Fa.example%2Fb/v1"]
)
def test_a_client_is_told_where_the_notebook_opens(nodes: FakeNodes, fleet: SteppedWorker, spec: str) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.web.get(f"/build/{spec}?build_token=x", headers=EVENT_SOURCE)
    said = event(answer)
    assert (said["phase"], said["status_code"]) == ("failed", 501)
    assert said["message"].endswith(f"/v2/{spec}\n")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert node.claims == {}


@pytest.mark.parametrize("spec", ["gist/user/abc", "gh/org", "gh/org/repo/main%00", "gh/org/repo/..%2F..%2Fx", "x"])
def test_a_spec_that_cannot_be_read_is_an_event_too(fleet: SteppedWorker, spec: str) -> None:
    said = event(fleet.web.get(f"/build/{spec}", headers=EVENT_SOURCE))
    assert (said["phase"], said["status_code"]) == ("failed", 400)
    assert said["message"].endswith(".\n")


def test_pages_of_listed_sites_may_read_it_and_others_not(tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_ALLOW_ORIGIN=PAGE) as fleet:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "last-event-id"}
        preflight = fleet.web.options("/build/gh/org/repo/main", headers={"Origin": PAGE, **asked})
        assert preflight.status_code == 204
        allowed = {word.strip().lower() for word in preflight.headers["Access-Control-Allow-Headers"].split(",")}
        assert allowed == {"cache-control", "last-event-id", "authorization", "x-xsrftoken"}
        for spec in ("gh/org/repo/main", "x"):
            answer = fleet.web.get(f"/build/{spec}", headers=EVENT_SOURCE)
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert "Access-Control-Allow-Credentials" not in answer.headers
            other = fleet.web.get(f"/build/{spec}", headers={**EVENT_SOURCE, "Origin": "https://other.example"})
            assert "Access-Control-Allow-Origin" not in other.headers
            assert "Origin" in other.headers["Vary"]
