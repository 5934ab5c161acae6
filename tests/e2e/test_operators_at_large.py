"""A fleet of three hundred, operators who decide at once, a redirector and a token that change under a watch: the real
command against a real redirector, with fake nodes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_fleet import BIN
from tests.support.served import TOKEN, Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

NODES, SLOTS = 300, 4
ANSWER_SECONDS = 150


def tmpnb(url: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    return subprocess.Popen(
        [str(BIN / "tmpnb"), *arguments],
        env=inherited | {"TMPNB_URL": url, "TMPNB_TOKEN": TOKEN} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it said on its way to a good end."""
    out, complaints = process.communicate(timeout=ANSWER_SECONDS)
    assert process.returncode == 0, out + complaints
    return out


def names(first: int, last: int) -> list[str]:
    return [f"n{number}" for number in range(first, last + 1)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Swarm(NODES, SLOTS) as swarm:
        served = Served(tmp_path_factory.mktemp("large") / "state", TMPNB_POLL_SECONDS="1", TMPNB_WORKERS="2")
        try:
            served.wait_until_up()
            swarm.enrol(f"sqlite:///{served.state}/fleet.db")
            served.wait_until_known(NODES * SLOTS, 60)
            yield served
        finally:
            served.stop()


def fleet_of(served: Served) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in json.loads(said(tmpnb(served.url, "node", "list", "--json")))}


def decisions(served: Served, kinds: set[str]) -> list[tuple[str, str]]:
    """Node and kind, oldest first."""
    lines = said(tmpnb(served.url, "events", "--json", "--limit", "1000")).splitlines()
    events = [json.loads(line) for line in lines]
    return [(event["node"], event["kind"]) for event in events if event["kind"] in kinds]


def test_three_hundred_nodes_are_listed_and_searched(large: Served) -> None:
    assert len(said(tmpnb(large.url, "node", "list")).splitlines()) == 1 + NODES
    assert f"{NODES} up" in said(tmpnb(large.url, "status"))
    assert len(said(tmpnb(large.url, "place", "--explain")).splitlines()) == 3 + NODES
    unknown = tmpnb(large.url, "node", "drain", "n4711")
    intent_error = unknown.communicate(timeout=ANSWER_SECONDS)[1]
    assert unknown.returncode == 1
    assert "no such node" in intent_error
    assert len(intent_error) < 200, "and not three hundred names"


def test_of_two_operators_who_drain_the_same_nodes_each_node_knows_one(large: Served) -> None:
    both = [
        tmpnb(large.url, "node", "drain", *names(1, 40), "--reason", "first"),
        tmpnb(large.url, "node", "drain", *reversed(names(21, 60)), "--reason", "second"),
    ]
    lines = [line for process in both for line in said(process).splitlines()]
    told = Counter(line.split(":")[0] for line in lines if "already" not in line)
    assert told == Counter(names(1, 60)), "one of them did it, the other one found it done"
    assert Counter(decisions(large, {"drain"})) == Counter((name, "drain") for name in names(1, 60))
    fleet = fleet_of(large)
    assert [name for name, node in fleet.items() if node["intent"] == "draining"] == sorted(names(1, 60))


def test_operators_who_want_opposite_things_at_once_leave_nothing_half_done(large: Served) -> None:
    same = names(101, 140)
    both = [tmpnb(large.url, "node", "drain", *same), tmpnb(large.url, "node", "resume", *same)]
    for process in both:
        said(process)
    last = dict(decisions(large, {"drain", "resume"}))
    fleet = fleet_of(large)
    for name in same:
        wanted = "draining" if last.get(name) == "drain" else "active"
        assert fleet[name]["intent"] == wanted, "the history ends with what holds"

    def known() -> bool:
        return not any(node["pending"] for node in fleet_of(large).values())

    wait_until(known, 20, "the nodes to know it, too")


def test_a_watch_outlives_a_restart_and_a_new_token_and_ends_with_one_that_it_cannot_know(tmp_path: Path) -> None:
    server_file, operator_file = tmp_path / "admin-token", tmp_path / "my-token"
    started: list[Served] = []

    def restart(token: str) -> Served:
        if started:
            started[-1].stop()
        server_file.write_text(token)
        server_file.chmod(0o600)
        environ = {"TMPNB_ADMIN_TOKEN": "", "TMPNB_ADMIN_TOKEN_FILE": str(server_file), "TMPNB_WORKERS": "1"}
        if started:
            environ["TMPNB_LISTEN"] = f"127.0.0.1:{started[-1].port}"
        started.append(Served(tmp_path / "state", **environ))
        return started[-1]

    operator_file.write_text("the-first-token-0123456789")
    operator_file.chmod(0o600)
    served = restart("the-first-token-0123456789")
    try:
        served.wait_until_up()
        watch = tmpnb(
            served.url,
            "status",
            "--watch",
            "--every",
            "0.2",
            "--json",
            TMPNB_TOKEN="",
            TMPNB_TOKEN_FILE=str(operator_file),
        )
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["capacity"] == 0
        operator_file.write_text("the-second-token-0123456789")
        restart("the-second-token-0123456789").wait_until_up()
        for _ in range(20):
            # More than it can have said before the restart, with nothing said while there was nothing to see.
            assert json.loads(watch.stdout.readline())["capacity"] == 0
        restart("a-third-token-that-nobody-told")
        _, complaints = watch.communicate(timeout=ANSWER_SECONDS)
    finally:
        started[-1].stop()
    assert watch.returncode == 1
    assert "no redirector answers" in complaints
    assert "still trying" in complaints
    assert "it answers again" in complaints
    assert "the admin token was changed meanwhile" in complaints
    assert "-token-0123456789" not in complaints
