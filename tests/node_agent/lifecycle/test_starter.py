"""What a sandbox is started with is its own pool's."""

from __future__ import annotations

from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.pools.specs import PoolSpec
from tests.support.node_pools import one_bench

OWN = "{server} {socket} {base_path}"


def test_a_sandbox_is_started_by_its_pools_command_and_shares_browser_files_only_if_that_can() -> None:
    specs = [PoolSpec("default", "lab", 1, 1), PoolSpec("own", "lab", 1, 1, landing="/tree", command=OWN)]
    with one_bench(specs=specs) as bench:
        bench.settle(lambda: len(bench.engine.running) == len(specs), "a sandbox of each pool")
        launches = {each.launch.pool: each.launch for each in bench.engine.running.values()}
    assert (launches["default"].command, launches["default"].landing) == (JUPYTER_LAB, "/lab")
    assert launches["default"].static == "/static/lab"
    assert (launches["own"].command, launches["own"].landing, launches["own"].static) == (OWN, "/tree", "")
