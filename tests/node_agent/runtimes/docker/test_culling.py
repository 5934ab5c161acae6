"""Culling of real notebooks on a real engine: computing is no idleness, an open tab at rest is."""

from __future__ import annotations

import pytest
import requests

from node_agent.jupyter.command import JUPYTER_LAB
from tests.support.docker_host import local_engine, notebook_image
from tests.support.kernels import Kernel
from tests.support.live_node import claim, live_node, settled
from tests.support.waiting import wait_until

IDLE_SECONDS = 10


@pytest.mark.docker
@pytest.mark.timeout(240)
def test_a_computing_kernel_keeps_its_sandbox_and_an_open_tab_at_rest_does_not() -> None:
    with (
        local_engine(),
        live_node(
            RUNTIME="docker",
            IMAGE=notebook_image(),
            COMMAND=JUPYTER_LAB,
            CAPACITY="1",
            PULL="0",
            CULL_IDLE_SECONDS=str(IDLE_SECONDS),
        ) as node,
    ):
        node.start()
        settled(node, available=1)
        session = claim(node)
        with Kernel(session) as kernel:
            assert kernel.run(f"import time; time.sleep({2 * IDLE_SECONDS}); print('awake')").strip() == "awake"
            assert requests.get(f"{session}api", timeout=10).status_code == 200
            # The websocket stays open from here on, and nothing comes over it.
            wait_until(lambda: node.stats().get("claimed") == 0, 60, "the idle session to end")
        assert requests.get(session, timeout=10).status_code == 410
        answer = requests.get(f"{node.url}/metrics", headers={"Authorization": f"Bearer {node.token}"}, timeout=10)
        assert 'tmpnb_agent_ends_total{reason="idle"} 1.0' in answer.text
