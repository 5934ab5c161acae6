"""Time-outs nest, over both programs and the shipped files: whoever passes work on outwaits the one who does it."""

from __future__ import annotations

import re
from pathlib import Path

from node_agent.jupyter import client as jupyter_client
from node_agent.jupyter import kernel_session
from node_agent.lifecycle import selftest
from node_agent.proxy import nginx
from node_agent.settings import table as config
from redirector.admin_api import calls as admin_calls
from redirector.admin_api import client as admin_client
from redirector.local_fleet import front
from redirector.node_client import calls, pools
from redirector.settings import table as redirector_config
from tmpnb_common.wire import TRIAL_SECONDS

ROOT = Path(__file__).parents[2]
FRONT = (ROOT / "deploy" / "redirector" / "nginx" / "tmpnb.conf").read_text()
LOCAL_FRONT = re.sub(
    r"^ {4}",
    "",
    front.render(Path("/run/tmpnb-1"), listen="127.0.0.1:8000", redirector="127.0.0.1:8001"),
    flags=re.MULTILINE,
)
"""nginx of `tmpnb up`, written as far in as the shipped one."""
REQUIRED = {"TMPNB_NODE_IMAGE": "an-image", "TMPNB_NODE_URL": "https://node1.example.org"}


def node_nginx() -> str:
    return nginx.render(config.load(REQUIRED), as_root=True, connections=8192)


def read_timeout(text: str, path: str) -> float:
    """Seconds that the location for this path waits for an answer, by nginx's own rules for the two kinds used here."""
    locations = re.findall(r"^( *)location (=|~) (\S+) \{\n(.*?)^\1\}", text, re.DOTALL | re.MULTILINE)
    exact = [body for _, kind, place, body in locations if kind == "=" and place == path]
    matching = [
        body
        for _, kind, place, body in locations
        if kind == "~" and re.search(place.strip('"').replace("(?<", "(?P<"), path)
    ]
    for body in (exact + matching)[:1]:
        if own := re.search(r"proxy_read_timeout (\d+)s;", body):
            return float(own[1])
    default = re.search(r"^    proxy_read_timeout (\d+)s;", text, re.MULTILINE)
    assert default, path
    return float(default[1])


def test_each_step_of_a_selftest_outwaits_the_one_within() -> None:
    work = (
        selftest.QUEUE_SECONDS
        + selftest.START_SECONDS
        + jupyter_client.LANDING_SECONDS
        + selftest.CELL_SECONDS
        + kernel_session.STOP_SECONDS,
        TRIAL_SECONDS,
        read_timeout(node_nginx(), "/api/selftest"),
        pools.SELFTEST_SECONDS,
        read_timeout(FRONT, "/api/nodes/n1/selftest"),
        admin_client.SELFTEST_SECONDS,
    )
    assert list(work) == sorted(set(work)), work
    of_a_trial = read_timeout(FRONT, "/api/nodes/n1/selftest")
    assert read_timeout(FRONT, "/dashboard/nodes/n1/selftest") == of_a_trial
    for path in ("/api/nodes/n1/selftest", "/dashboard/nodes/n1/selftest", "/dashboard/roll"):
        assert read_timeout(LOCAL_FRONT, path) == of_a_trial


def test_an_operators_order_is_answered_by_the_redirector_before_anybody_gives_up() -> None:
    work = (calls.CONTROL_SECONDS, read_timeout(FRONT, "/api/nodes/n1/drain"), admin_calls.ANSWER_SECONDS)
    assert list(work) == sorted(set(work)), work


def test_a_visitor_is_answered_by_the_redirector_before_the_front_gives_up() -> None:
    longest = redirector_config.load(
        {"TMPNB_ADMIN_TOKEN": "a-token-of-32-characters-or-more", "TMPNB_PLACE_SECONDS": "60"}
    )
    assert longest.place_seconds < read_timeout(FRONT, "/") == read_timeout(LOCAL_FRONT, "/")


def test_the_documented_numbers_are_these() -> None:
    rows = (ROOT / "docs" / "architecture.md").read_text().splitlines()
    [selftests] = [row for row in rows if row.startswith("| a selftest |")]
    numbers = [float(number) for number in re.findall(r"(\d+) s", selftests)]
    assert numbers == [
        TRIAL_SECONDS,
        read_timeout(node_nginx(), "/api/selftest"),
        pools.SELFTEST_SECONDS,
        read_timeout(FRONT, "/api/nodes/n1/selftest"),
        admin_client.SELFTEST_SECONDS,
    ]
