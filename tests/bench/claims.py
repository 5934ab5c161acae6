"""What the agent's own work costs: a claim, two hundred at once, a minute of looking after 500 sessions."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node_agent.jupyter import client as jupyter_client
from node_agent.pools.culling import CHECK_SECONDS
from node_agent.sandboxes import Sandbox
from node_agent.unix_http import request
from tests.bench.report import Table, percentile
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node
from tests.support.node_pools import Bench, one_bench
from tests.support.waiting import wait_until
from tmpnb_common.keys import base_path
from tmpnb_common.wire import DEFAULT_POOL

SLOTS = 40
CROWD = 200
SESSIONS = 500
ROUNDS = 300
FILL_SECONDS = 300.0


def run() -> Table:
    logging.disable(logging.INFO)
    try:
        rows = [*claims(), *a_crowd(), *looking_after()]
    finally:
        logging.disable(logging.NOTSET)
    return Table(
        "The agent's own work",
        ["", "median", "p99", "rate"],
        rows,
        f"A claim is a request on the agent's socket and its answer, {SLOTS} one after the other. {CROWD} at once go "
        "to the pools of one process, over the fake runtime: each slot went out once, none was lost. A check is what "
        f"every session costs the agent every {CHECK_SECONDS:.0f} s, in processor time.",
    )


def claims() -> list[list[str]]:
    """At a real agent, whose sandboxes are small servers that start fast."""
    with live_node(CAPACITY=str(SLOTS)) as node:
        node.start()
        full(node, SLOTS)
        socket = node.run_dir / "agent.sock"
        took = []
        for _ in range(SLOTS):
            begun = time.perf_counter()
            answer = request(socket, "POST", "/api/spawn", within=10, body=b"{}")
            took.append(time.perf_counter() - begun)
            assert answer.status == 200, json.loads(answer.body)
    return [["claim at the agent", *milliseconds(took), f"{len(took) / sum(took):.0f}/s"]]


def a_crowd() -> list[list[str]]:
    with one_bench(warm=CROWD, capacity=CROWD) as bench, ThreadPoolExecutor(CROWD) as crowd:
        bench.fill()

        def claim(_: int) -> tuple[object, float]:
            begun = time.perf_counter()
            return bench.claims.claim(DEFAULT_POOL), time.perf_counter() - begun

        begun = time.perf_counter()
        answers = list(crowd.map(claim, range(CROWD)))
        elapsed = time.perf_counter() - begun
        names = {each.name for each, _ in answers if isinstance(each, Sandbox)}
        assert len(names) == bench.stats().claimed == CROWD, "a slot was lost or given twice"
    return [[f"{CROWD} claims at once", *milliseconds([took for _, took in answers]), f"{CROWD / elapsed:.0f}/s"]]


def looking_after() -> list[list[str]]:
    with one_bench(warm=1, capacity=1) as bench:
        bench.fill()
        took = checks(bench)
    per_minute = percentile(took, 50) * SESSIONS * 60 / CHECK_SECONDS
    rate = f"{SESSIONS} sessions: {per_minute:.2f} s of processor time a minute"
    return [["check of a session", *milliseconds(took), rate]]


def checks(bench: Bench) -> list[float]:
    """Processor time of the asking side alone; a kernel is there, so that there are two questions."""
    [sandbox] = bench.table.all()
    bench.engine.jupyter(sandbox.name).kernels.append("idle")
    socket, base = bench.table.socket(sandbox), base_path(sandbox.key)
    took = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        assert jupyter_client.activity(Path(socket), base) is not None
        took.append(time.thread_time() - begun)
    return took


def full(node: LiveNode, slots: int) -> None:
    wait_until(lambda: node.stats().get("available") == slots, FILL_SECONDS, "a full pool")


def milliseconds(seconds: list[float]) -> list[str]:
    return [f"{percentile(seconds, percent) * 1000:.2f} ms" for percent in (50, 99)]
