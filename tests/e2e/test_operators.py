"""What an operator of a real fleet does and sees: the command line, the logs, the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.support.live_fleet import ADMIN_TOKEN, LiveFleet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def small() -> Iterator[LiveFleet]:
    with LiveFleet(2, 2) as fleet:
        fleet.wait_until_available(4)
        yield fleet


def test_one_visitor_is_followed_by_the_ticket_from_log_to_log(small: LiveFleet) -> None:
    answer = small.visit()
    assert answer.status_code == 302
    sandbox = answer.headers["Location"].split("/user/")[1][:8]
    requests.get(answer.headers["Location"], timeout=30)
    log = wait_until(
        lambda: small.redirector.log.read_text() if sandbox in small.redirector.log.read_text() else "", 10
    )
    placed = next(line for line in log.splitlines() if f"sandbox={sandbox}" in line)
    ticket = re.search(r"ticket=([0-9a-f]{8})", placed)
    node = re.search(r"node=(n\d)", placed)
    assert ticket is not None, placed
    assert node is not None, placed
    host = small.node(node[1])
    claimed = [line for line in host.agent.log.read_text().splitlines() if f"ticket={ticket[1]}" in line]
    assert len(claimed) == 1
    assert f"sandbox={sandbox}" in claimed[0]
    wait_until(lambda: sandbox in host.proxy.log.read_text(), 10, "nginx's own line")


def test_metrics_of_a_real_fleet_tell_of_its_nodes_and_visitors(small: LiveFleet) -> None:
    small.visit()

    def placed() -> float:
        text = small.admin("GET", "/metrics").text
        found = re.search(r'tmpnb_visitors_total\{outcome="placed"\} ([0-9.]+)', text)
        return float(found[1]) if found else 0.0

    assert wait_until(placed, 10, "the count") >= 1
    text = small.admin("GET", "/metrics").text
    assert 'tmpnb_node_state{health="up",intent="active",node="n1"} 1.0' in text
    assert requests.get(f"{small.url}/metrics", timeout=5).status_code == 401


def test_a_drain_with_an_end_waits_for_it_and_the_events_tell_who_and_why(small: LiveFleet) -> None:
    done = small.tmpnb(
        "node", "drain", "n1", "--reason", "new kernel", "--end-sessions-at", "2s", "--yes",
        "--wait", "--timeout", "60", "--every", "0.5", "--force",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no session is left" in done.stderr
    shown = small.tmpnb("events").stdout
    assert re.search(r"n1 +drain_with_end +by \w+: sessions end at .*: new kernel", shown)
    asked = small.tmpnb("place")
    assert (asked.stdout + asked.stderr).strip() in ("n2", "Error: nowhere: every sandbox is in use")
    guarded = small.tmpnb("node", "drain", "n2")
    assert guarded.returncode == 5
    assert small.tmpnb("node", "resume", "n1").returncode == 0
    assert small.tmpnb("node", "wait", "n1", "--for", "warm", "--timeout", "60", "--every", "0.5").returncode == 0


def test_a_node_proves_itself_and_takes_the_place_of_another(small: LiveFleet) -> None:
    proven = small.tmpnb("node", "selftest", "n2")
    assert proven.returncode == 0, proven.stdout + proven.stderr
    emptied = small.tmpnb(
        "node", "drain", "n1", "--end-sessions-at", "1s", "--yes", "--wait", "--every", "0.5", "--force"
    )
    assert emptied.returncode == 0, emptied.stderr
    asked = small.tmpnb("node", "rotate", "n1", small.node("n2").url, "--every", "0.5")
    assert asked.returncode == 2
    assert "in the fleet already" in asked.stderr
    done = small.tmpnb("node", "rotate", "n1", small.node("n2").url, "--every", "0.5", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    nodes = [node["name"] for node in small.admin("GET", "/api/nodes").json()["nodes"]]
    assert nodes == ["n2"]
    again = small.tmpnb("node", "rotate", "n1", small.node("n2").url)
    assert again.returncode == 0
    assert "done" in again.stdout
    small.add(small.node("n1"))


def test_nothing_secret_is_in_any_log(small: LiveFleet) -> None:
    location = small.visit().headers.get("Location", "")
    small.tmpnb("status")
    requests.post(f"{small.url}/dashboard/login", data={"token": ADMIN_TOKEN}, timeout=5)
    requests.get(location or small.url, timeout=30)
    logs = small.logs()
    key = location.split("/user/")[1].split("/")[0] if location else "x" * 34
    for secret in (ADMIN_TOKEN, key[8:], *(node.token for node in small.nodes)):
        assert secret not in logs
    lines = [line for line in small.redirector.log.read_text().splitlines() if line]
    assert all(line.startswith("time=") for line in lines), "one line an event, gunicorn's own as well"
