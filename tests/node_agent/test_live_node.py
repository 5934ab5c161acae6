"""Tests of a real node from outside: its two programs, killed, restarted and told wrong things."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
import requests

from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.proxy import open_files
from tests.support.docker_host import local_engine, notebook_image
from tests.support.kernels import Kernel
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, live_node, run, settled
from tests.support.waiting import wait_until


@pytest.fixture
def node() -> Iterator[LiveNode]:
    with live_node() as node:
        node.start()
        settled(node, available=2)
        yield node


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveNode]:
    """A node for the tests that change nothing about it."""
    with live_node(CAPACITY="4") as node:
        node.start()
        settled(node, available=4)
        yield node


def pid_of(base: str) -> int:
    return int(requests.get(f"{base}pid", timeout=5).json())


def status(url: str) -> int:
    return requests.get(url, timeout=5, allow_redirects=False).status_code


def test_a_visitor_of_a_node_that_stands_alone_is_redirected_to_a_sandbox(shared: LiveNode) -> None:
    answer = requests.get(f"{shared.url}/lab/tree/a%20b?x=%22", timeout=5)
    assert answer.status_code == 200
    assert [each.status_code for each in answer.history] == [302]
    assert answer.json().endswith("/lab/tree/a%20b?x=%22")


@pytest.mark.parametrize("path", ["//", "//evil.example.org/", "//lab", "/lab/..//etc", "/wp-login.php"])
def test_odd_paths_at_a_nodes_entry_take_nothing(shared: LiveNode, path: str) -> None:
    before = shared.stats()["claims_total"]
    connection = http.client.HTTPConnection(shared.url.removeprefix("http://"), timeout=5)
    connection.putrequest("GET", path)
    connection.endheaders()
    assert connection.getresponse().status in (400, 404)
    connection.close()
    assert shared.stats()["claims_total"] == before


def test_a_restart_of_the_agent_ends_no_session_and_serves_meanwhile(node: LiveNode) -> None:
    base = claim(node)
    process = pid_of(base)
    boot = node.stats()["boot_id"]
    assert node.agent.stop() == 0
    assert status(f"{node.url}/stats") == 503
    assert pid_of(base) == process
    node.agent.start()
    stats = settled(node, available=1, claimed=1)
    assert stats["boot_id"] != boot
    assert stats["starting"] == 0, "nothing was started anew"
    assert pid_of(base) == process


def test_an_agent_that_was_killed_is_followed_by_one_that_knows_everything(node: LiveNode) -> None:
    ticket = "a-ticket-0123456789-0123456789"
    base = claim(node, ticket=ticket)
    process = pid_of(base)
    node.agent.kill()
    assert pid_of(base) == process
    node.agent.start()
    settled(node, available=1, claimed=1)
    assert claim(node, ticket=ticket) == base
    assert node.stats()["claimed"] == 1


def test_a_worker_that_was_killed_comes_back_by_itself(node: LiveNode) -> None:
    base = claim(node)
    boot = node.stats()["boot_id"]
    [worker] = psutil.Process(node.agent.pid).children()
    worker.kill()
    wait_until(lambda: node.stats().get("boot_id", boot) != boot, 30, "a new worker")
    settled(node, available=1, claimed=1)
    assert status(base) == 200


def test_a_sandbox_that_dies_is_a_503_and_soon_a_410_and_is_replaced(node: LiveNode) -> None:
    base = claim(node)
    os.kill(pid_of(base), signal.SIGKILL)
    assert status(base) in (503, 410)
    wait_until(lambda: status(base) == 410, 20, "the end to be noticed")
    settled(node, available=2, claimed=0)


def test_a_killed_proxy_leaves_no_nginx_behind_and_the_next_one_serves(node: LiveNode) -> None:
    base = claim(node)
    proxy = psutil.Process(node.proxy.pid)
    [nginx] = [child for child in proxy.children() if child.name() == "nginx"]
    # The program alone, not its process group.
    assert node.proxy._process is not None
    node.proxy._process.kill()
    node.proxy._process.wait(10)
    wait_until(lambda: not nginx.is_running(), 10, "nginx to end with its proxy")
    node.proxy.start()
    wait_until(node.stats, 20, "the proxy's return")
    assert status(base) == 200


def test_a_changed_setting_reaches_nginx_without_cutting_a_websocket(node: LiveNode) -> None:
    host, port = node.url.removeprefix("http://").split(":")
    base = claim(node).removeprefix(node.url)
    with socket.create_connection((host, int(port)), timeout=20) as browser:
        browser.sendall(
            f"GET {base}ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
        )
        assert b" 101 " in browser.recv(65536)
        assert node.agent.stop() == 0
        node.agent.settings["TMPNB_NODE_FRAME_ANCESTORS"] = "https://journal.example.org"
        node.agent.start()

        def embeddable() -> bool:
            answer = requests.get(f"{node.url}{base}", timeout=5)
            return "journal.example.org" in answer.headers["Content-Security-Policy"]

        wait_until(embeddable, 20, "the new configuration")
        browser.sendall(b"ping")
        assert browser.recv(4) == b"PING"


def test_a_proxy_whose_port_is_taken_says_so_and_exits_1(shared: LiveNode) -> None:
    second = run(shared, "proxy")
    assert second.returncode == 1
    assert f"port {shared.url.rsplit(':', 1)[1]} on 127.0.0.1 is taken by another program" in second.stderr


def file_limits_of_nginx(node: LiveNode) -> set[int]:
    """How many files its workers may open."""
    [master] = [child for child in psutil.Process(node.proxy.pid).children() if child.name() == "nginx"]
    limits = [Path(f"/proc/{worker.pid}/limits").read_text() for worker in master.children()]
    return {int(line.split()[3]) for text in limits for line in text.splitlines() if line.startswith("Max open files")}


def test_nginxs_workers_may_open_as_many_files_as_the_host_allows(shared: LiveNode) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = open_files.NGINX if hard == resource.RLIM_INFINITY else min(hard, open_files.NGINX)
    assert file_limits_of_nginx(shared) == {wanted}


def test_a_host_that_allows_nginx_too_few_files_is_complained_about_once_and_served_all_the_same(
    idle: LiveNode,
) -> None:
    for part in (idle.agent, idle.proxy):
        part.argv = ["prlimit", "--nofile=200:270", *part.argv]
    idle.start()
    settled(idle, available=2)
    assert file_limits_of_nginx(idle) == {270}
    said = idle.proxy.log.read_text()
    assert said.count(f"this host allows 270 open files, and 2 sandboxes may need {open_files.of_nginx(2)}") == 1
    assert "exceed open file resource limit" not in said
    assert "this host allows" not in idle.agent.log.read_text()


def test_a_second_agent_in_the_same_run_directory_is_refused(shared: LiveNode) -> None:
    second = run(shared, "serve")
    assert second.returncode == 1
    assert f"another agent serves from {shared.run_dir}" in second.stderr
    assert shared.stats()["node_id"]


def test_stopping_the_agent_is_quick_and_leaves_the_sandboxes_running(node: LiveNode) -> None:
    base = claim(node)
    began = time.monotonic()
    assert node.agent.stop() == 0
    assert time.monotonic() - began < 10
    assert status(base) == 200


def test_purge_refuses_while_an_agent_serves_and_ends_everything_after(node: LiveNode) -> None:
    base = claim(node)
    process = psutil.Process(pid_of(base))
    refused = run(node, "purge")
    assert refused.returncode == 5
    assert "stop it first, or use --force" in refused.stderr
    node.agent.stop()
    token = node.token
    done = run(node, "purge")
    assert (done.returncode, done.stderr) == (0, "ended 2 sandboxes\n")
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert status(base) == 410
    again = run(node, "purge")
    assert (again.returncode, again.stderr) == (0, "ended 0 sandboxes\n")
    assert node.token == token


def test_purge_by_force_beside_an_agent_gives_a_fresh_pool(node: LiveNode) -> None:
    base = claim(node)
    assert run(node, "purge", "--force").returncode == 0
    assert status(base) == 410
    wait_until(lambda: node.stats().get("claimed", 1) == 0, 30, "the agent to notice")


def test_the_hosts_operator_drains_and_resumes_over_the_agents_socket(node: LiveNode) -> None:
    assert run(node, "drain", "--reason", "new disk").stdout == "this node is draining\n"
    assert node.stats()["state"] == "draining"
    node.agent.stop()
    node.agent.start()
    settled(node, available=0)
    shown = run(node, "status")
    assert shown.stdout.splitlines()[0] == "n1: draining"
    assert json.loads(run(node, "status", "--json").stdout)["state"] == "draining"
    assert run(node, "resume").stdout == "this node is active\n"
    settled(node, available=2)


def test_a_node_that_the_fleet_drains_too_says_so_to_its_operator(node: LiveNode) -> None:
    headers = {"Authorization": f"Bearer {node.token}"}
    requests.put(
        f"{node.url}/api/state", json={"state": "draining", "generation": 1}, headers=headers, timeout=5
    ).raise_for_status()
    resumed = run(node, "resume")
    assert resumed.stdout == "this node is draining\n"
    assert "the fleet drains it too" in resumed.stderr


def test_a_command_to_an_agent_that_is_away_says_how_to_start_it_and_exits_1(idle: LiveNode) -> None:
    (idle.state_dir / "token").write_text("a-token-of-the-node-0123456789")
    (idle.state_dir / "token").chmod(0o600)
    told = run(idle, "status")
    assert told.returncode == 1
    assert "start it with: tmpnb-agent serve" in told.stderr
    assert "Traceback" not in told.stderr


# Programs that do not start


@pytest.fixture
def idle() -> Iterator[LiveNode]:
    with live_node() as node:
        yield node


def test_every_problem_of_the_settings_is_said_and_the_exit_code_is_2(idle: LiveNode) -> None:
    told = run(idle, "serve", CAPACITY="many", WRAM="3")
    assert told.returncode == 2
    assert told.stderr.splitlines() == [
        "tmpnb-agent: TMPNB_NODE_CAPACITY is 'many', not a whole number from 1 to 10000",
        "tmpnb-agent: TMPNB_NODE_WRAM is no setting; did you mean TMPNB_NODE_WARM?",
    ]


def test_a_state_directory_that_cannot_be_used_is_one_clear_line(idle: LiveNode) -> None:
    told = run(idle, "serve", STATE_DIR="/proc/nowhere")
    assert told.returncode == 1
    assert "cannot be made" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_damaged_intent_keeps_the_agent_from_serving_and_is_one_clear_line(idle: LiveNode) -> None:
    (idle.state_dir / "intent.json").write_text("{")
    told = run(idle, "serve")
    assert told.returncode == 1
    assert "intent.json cannot be read" in told.stderr
    assert "Traceback" not in told.stderr


def test_an_image_that_does_not_start_shows_its_last_words_without_the_key(idle: LiveNode) -> None:
    idle.agent.settings["TMPNB_NODE_COMMAND"] += " crash"
    idle.start()

    def problem() -> str:
        return str(idle.stats().get("pools", {}).get("default", {}).get("problem", ""))

    said = wait_until(problem, 30, "the problem to show")
    assert "no such module: sense" in said
    health = requests.get(f"{idle.url}/healthz", timeout=5)
    assert health.status_code == 503
    assert "no such module: sense" in health.json()["message"]
    assert "[key]" in said, "the program printed its socket's path"
    assert "no such module: sense" in run(idle, "status").stdout


MALFORMED = (
    b"GET /-/left/on-purpose on-purpose HTTP/1.1",
    b"on-purpose /x HTTP/1.1",
    b"GET / HTTP/1.1\r\non purpose: x",
)


def test_malformed_requests_that_reach_the_agent_get_lines_without_what_they_hold(shared: LiveNode) -> None:
    for line in MALFORMED:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(shared.run_dir / "agent.sock"))
            connection.sendall(line + b"\r\n\r\n")
            assert b" 400 " in connection.recv(4096), line
    wait_until(lambda: shared.agent.log.read_text().count("Invalid request from") >= len(MALFORMED), 10, "its lines")
    assert "purpose" not in shared.agent.log.read_text()


def test_no_key_or_token_is_in_any_output_or_in_the_agents_command_line(shared: LiveNode) -> None:
    base = claim(shared)
    requests.get(base, timeout=5)
    requests.get(f"{base}exit", timeout=5)
    wait_until(lambda: status(base) == 410, 20, "the end to be noticed")
    secret = base.rstrip("/")[-26:]
    for part in (shared.agent, shared.proxy):
        logged = part.log.read_text()
        assert logged
        assert secret not in logged
        assert shared.token not in logged
        assert shared.token not in " ".join(psutil.Process(part.pid).cmdline())


# With a real Jupyter server


def on_docker() -> dict[str, str]:
    return {"RUNTIME": "docker", "IMAGE": notebook_image(), "COMMAND": JUPYTER_LAB, "PULL": "0"}


def as_process() -> dict[str, str]:
    return {"COMMAND": JUPYTER_LAB}


@pytest.mark.parametrize(
    "runtime",
    [pytest.param(as_process, id="process"), pytest.param(on_docker, id="docker", marks=pytest.mark.docker)],
)
@pytest.mark.timeout(900)
def test_a_kernels_websocket_stays_open_over_a_restart_and_over_a_kill_of_the_agent(
    runtime: Callable[[], dict[str, str]],
) -> None:
    with local_engine() if runtime is on_docker else nullcontext(), live_node(CAPACITY="1", **runtime()) as node:
        node.start()
        settled(node, available=1)
        base = claim(node)
        with Kernel(base) as kernel:
            assert kernel.run("answer = 6*7; answer") == "42"
            assert node.agent.stop() == 0
            assert kernel.run("answer += 1; answer") == "43"
            node.agent.start()
            settled(node, claimed=1)
            assert kernel.run("answer += 1; answer") == "44"
            node.agent.kill()
            assert kernel.run("answer += 1; answer") == "45"
            node.agent.start()
            settled(node, claimed=1)
            assert kernel.run("answer") == "45"
        welcome = requests.get(f"{base}api/contents/Welcome.ipynb", timeout=10).json()["content"]
        text = "".join("".join(cell["source"]) for cell in welcome["cells"])
        assert "after 1 hour without activity, and after 4 hours at the latest" in text
