"""Pages of listed sites read every answer, of every status; none of them reads what an operator's cookie opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker

LISTED, OTHER = "https://book.example.org", "https://other.example"


@pytest.fixture
def listing(tmp_path: Path) -> Iterator[SteppedWorker]:
    """A redirector that pages of one site may read, on the same domain as the entry."""
    with stepped_worker(tmp_path, TMPNB_ALLOW_ORIGIN=LISTED, TMPNB_WAITING_LIMIT="1") as fleet:
        yield fleet


ANSWERS = [
    (200, "POST", "/api/spawn", b"{}"),
    (204, "OPTIONS", "/api/spawn", None),
    (204, "OPTIONS", "/build/gh/org/repo/main", None),
    (200, "GET", "/build/gh/org/repo/main", None),
    (302, "GET", "/", None),
    (400, "POST", "/api/spawn", b"no json"),
    (400, "GET", "/v2/gh/org", None),
    (404, "POST", "/api/spawn", b'{"pool": "other"}'),
    (404, "GET", "/v2/gh/org/repo/main", None),
    (404, "GET", "/nothing/here", None),
    (405, "DELETE", "/api/spawn", None),
    (405, "DELETE", "/build/gh/org/repo/main", None),
    (413, "POST", "/api/spawn", b"x" * 70_000),
    (414, "GET", f"/lab/tree/{'a' * 4000}", None),
    (401, "GET", "/api/nodes", None),
]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case[0]} {case[1]} {case[2][:30]}")
def test_every_answer_can_be_read_by_a_listed_site_alone(
    nodes: FakeNodes, listing: SteppedWorker, case: tuple[int, str, str, bytes | None]
) -> None:
    status, method, path, body = case
    listing.add(nodes.add("n1"))
    for origin in (LISTED, OTHER, "null"):
        answer = listing.web.open(path, method=method, data=body, headers={"Origin": origin})
        assert answer.status_code == status, answer.text
        assert answer.headers.get("Access-Control-Allow-Origin") == (LISTED if origin == LISTED else None)
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_so_can_refusals_of_a_full_fleet_and_of_one_in_trouble(nodes: FakeNodes, listing: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0)
    listing.add(node)
    full = listing.web.post("/api/spawn", headers={"Origin": LISTED})
    nodes.die(node)
    listing.tick(3)
    trouble = listing.web.post("/api/spawn", headers={"Origin": LISTED})
    waits = listing.web.post("/api/spawn", json={"wait": True}, headers={"Origin": LISTED})
    assert [answer.status_code for answer in (full, trouble, waits)] == [429, 503, 202]
    for answer in (full, trouble, waits):
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


def test_a_fault_of_ours_can_be_read_too(listing: SteppedWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("for a test")

    monkeypatch.setattr(type(listing.worker.admission), "arrive", broken)
    listing.worker.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = listing.web.post("/api/spawn", headers={"Origin": LISTED})
    assert answer.status_code == 500
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED


@pytest.mark.parametrize("origins", [LISTED, "*"])
def test_no_answer_lets_a_page_use_an_operators_cookie(nodes: FakeNodes, tmp_path: Path, origins: str) -> None:
    with stepped_worker(tmp_path, TMPNB_ALLOW_ORIGIN=origins) as fleet:
        fleet.add(nodes.add("n1"))
        page = {"Origin": LISTED, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
        signed_in = fleet.web.post("/dashboard/login", data={"token": ADMIN_TOKEN})
        assert signed_in.status_code in {302, 303}
        assert fleet.web.get("/dashboard").status_code == 200, "the cookie opens it to the operator"
        for path in ("/", "/dashboard", "/api/nodes", "/api/fleet", "/metrics"):
            for method in ("GET", "OPTIONS"):
                answer = fleet.web.open(path, method=method, headers=page)
                assert "Access-Control-Allow-Credentials" not in answer.headers
                allowed = answer.headers.get("Access-Control-Allow-Headers", "")
                assert "authorization" not in allowed.lower(), "no page sends a token of an operator's either"
