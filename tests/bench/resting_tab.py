"""What a JupyterLab uses of the processor while its tab is open and nobody is at work in it.

`python -m tests.bench.resting_tab [SECONDS]`: a real node, real Chromium, one row per kind of tab: as it is, with an
extension that asks the API twice a second, and with four of those. The processor time is the whole sandbox's, as the
agent reads it, and has to stay below the share from which on a sandbox is at work (`culling.WORKING_SHARE`).
"""

from __future__ import annotations

import sys
import time

from node_agent.pools.culling import WORKING_SHARE
from tests.bench.report import Table, machine
from tests.support.chromium import chromium
from tests.support.live_node import claim, live_node, settled
from tmpnb_common.processes import tree_usage

LOAD_SECONDS = 15
EXTENSION = """count => { for (let i = 0; i < count; i++) setInterval(
  () => fetch('api/sessions?' + Date.now()).then(() => fetch('api/contents?content=1&' + Date.now())), 1000) }"""


def share(extensions: int, seconds: float) -> float:
    """Of one processor."""
    with live_node(CAPACITY="1") as node, chromium() as browser:
        del node.settings["TMPNB_NODE_COMMAND"]
        node.start()
        settled(node, available=1)
        page = browser.new_page()
        page.goto(claim(node) + "lab", wait_until="domcontentloaded")
        page.wait_for_selector(".jp-Launcher", timeout=60_000)
        page.evaluate(EXTENSION, extensions)
        page.wait_for_timeout(LOAD_SECONDS * 1000)
        [server] = [each for each in node.processes() if "node_agent.jupyter.lab_launcher" in each.cmdline()]
        before, began = tree_usage(server)[1] or 0.0, time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        return ((tree_usage(server)[1] or 0.0) - before) / (time.monotonic() - began)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    kinds = ((0, "as it is"), (1, "an extension asks twice a second"), (4, "extensions ask eight times a second"))
    rows = [(name, f"{share(extensions, seconds):.3f}", f"{WORKING_SHARE}") for extensions, name in kinds]
    print(machine())
    print(Table("An open tab at rest", ("tab", "of a processor", "at work from"), rows))


if __name__ == "__main__":
    main()
