"""The proof: what is shipped in deploy/, built and brought up on a real engine, with visitors in it over TLS."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from tests.support.container_fleet import RESTART_SECONDS, ROOT, START_SECONDS, ContainerFleet, command, public_names
from tests.support.docker_host import local_engine, notebook_image
from tests.support.event_streams import opened
from tests.support.kernels import Kernel, base_of
from tests.support.programs import need
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(900)]

CAPACITY = 3

TAG = "deploy-test"
"""Images stay, so that the next run builds only what has changed."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[ContainerFleet]:
    need("docker-compose")
    with local_engine():
        image = notebook_image()
    with (
        ContainerFleet(
            4,
            CAPACITY,
            image,
            TAG,
            later="n4",
            n3={"TMPNB_NODE_ORIGIN": "sandbox", "TMPNB_NODE_JOIN": "https://entry.fleet.test"},
        ) as started,
        public_names(started.names, started.authority.certificate),
    ):
        wait_until(started.stats, START_SECONDS, "the entry")
        for name in ("n1", "n2"):
            wait_until(partial(answers, name), START_SECONDS, f"the node {name}")
            started.add(name)
        wait_until(lambda: started.node("n3"), START_SECONDS, "n3, which joins by itself")
        started.wait_until_available(3 * CAPACITY)
        yield started


def test_event_streams_come_through_the_front(fleet: ContainerFleet) -> None:
    """Nothing is allowed here, which is what the redirector itself says."""
    with opened(f"{fleet.url}/build/gh/org/course/HEAD", {"Accept": "text/event-stream"}) as stream:
        [event] = list(stream)
    assert event.data["status_code"] == 404
    assert "not allowed here" in event.data["message"]


def answers(name: str) -> bool:
    try:
        return requests.get(f"https://{name}.fleet.test/stats", timeout=5).ok
    except requests.RequestException:
        return False


def arrive(fleet: ContainerFleet) -> str:
    """The address of a newcomer's own sandbox."""
    answer = fleet.visit()
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def host(url: str) -> str:
    """The node's name, also where the sandbox's key stands before it."""
    return str(urlsplit(url).hostname).removesuffix(".fleet.test").rpartition(".")[2]


def arrive_at(fleet: ContainerFleet, name: str) -> str:
    """The same on a given node: others fill the rest of the fleet, and leave again."""
    others: list[str] = []
    try:
        for _ in range(3 * CAPACITY):
            others.append(a_place(fleet))
            if host(others[-1]) == name:
                return others.pop()
    finally:
        for other in others:
            end(fleet, other)
    pytest.fail(f"nobody was sent to {name}")


def a_place(fleet: ContainerFleet) -> str:
    """The same for a newcomer who waits where that is needed, and keeps the place in the queue by cookie."""
    with requests.Session() as browser:

        def placed() -> str:
            answer = browser.get(fleet.url, allow_redirects=False, timeout=30)
            return answer.headers["Location"] if answer.status_code == 302 else ""

        return wait_until(placed, START_SECONDS, "a place")


def end(fleet: ContainerFleet, url: str) -> None:
    """End a session, as its node's operator can: its name is how its key begins."""
    delete(fleet, host(url), f"/api/sandboxes/{url.partition('/user/')[2][:8]}")


def delete(fleet: ContainerFleet, name: str, path: str) -> None:
    token = fleet.nodes[name].compose("exec", "-T", "agent", "head", "-n", "1", "/var/lib/tmpnb-agent/token").strip()
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.delete(f"https://{name}.fleet.test{path}", headers=headers, timeout=30)
    # Gone already is fine.
    assert answer.status_code in (200, 404), answer.text


def test_visitors_come_through_tls_and_run_kernels_on_every_node(fleet: ContainerFleet) -> None:
    seen = Counter[str]()
    urls: list[str] = []
    while len(seen) < 3 and len(urls) < 3 * CAPACITY:
        urls.append(arrive(fleet))
        seen[host(urls[-1])] += 1
    for url in urls[:3]:
        with Kernel(base_of(url)) as kernel:
            assert kernel.run("6*7") == "42"

    assert sorted(seen) == ["n1", "n2", "n3"]
    for url in urls:
        end(fleet, url)


def test_the_front_keeps_browsers_on_tls(fleet: ContainerFleet) -> None:
    plain = requests.get("http://entry.fleet.test/lab?reset", allow_redirects=False, timeout=10)
    asked = requests.head(fleet.url, timeout=10)

    assert (plain.status_code, plain.headers["Location"]) == (301, "https://entry.fleet.test/lab?reset")
    assert asked.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_huge_body_ends_at_the_front(fleet: ContainerFleet) -> None:
    answer = requests.post(f"{fleet.url}/api/spawn", data=b"x" * 1_000_000, timeout=10)

    assert answer.status_code == 413


def test_too_many_requests_from_one_address_are_told_so_and_others_are_served(fleet: ContainerFleet) -> None:
    need("curl")
    address = fleet.names["entry.fleet.test"]
    flood = ["curl", "--silent", "--insecure", "--http2", "--parallel", "--parallel-max", "50", "--output", "/dev/null"]
    flood += ["--write-out", "%{http_code}\n", "--resolve", f"entry.fleet.test:443:{address}"]
    done = subprocess.run(
        [*flood, f"{fleet.url}/healthz?[1-1500]"], capture_output=True, text=True, check=False, timeout=120
    )

    counted = Counter(done.stdout.split())
    assert counted["429"] > 0
    assert counted["200"] >= 600
    wait_until(fleet.stats, 10, "an ordinary request")


def test_an_upgraded_agent_leaves_a_kernel_and_its_open_websocket_alone(fleet: ContainerFleet) -> None:
    url = a_place(fleet)
    name = host(url)
    node = fleet.nodes[name]
    with Kernel(base_of(url)) as kernel:
        kernel.run("x = 41")
        before = fleet.agent_stats(name)["boot_id"]

        node.build("agent", f"{fleet.tag}-next")
        node.compose("up", "--detach", "--no-deps", "agent")

        wait_until(lambda: boot_id(name) not in ("", before), RESTART_SECONDS, "the new agent")
        assert kernel.run("x + 1") == "42"
        assert fleet.agent_stats(name)["claimed"] >= 1
    end(fleet, url)


def boot_id(name: str) -> str:
    try:
        return str(requests.get(f"https://{name}.fleet.test/stats", timeout=5).json()["boot_id"])
    except (requests.RequestException, ValueError, KeyError):
        return ""


def test_an_upgraded_proxy_leaves_kernels_alone_though_websockets_reconnect(fleet: ContainerFleet) -> None:
    url = a_place(fleet)
    name = host(url)
    node = fleet.nodes[name]
    kernel = Kernel(base_of(url))
    kernel.run("x = 41")
    kernel.close()

    node.set(TMPNB_VERSION=f"{fleet.tag}-next")
    node.compose("up", "--detach", "--no-deps", "--force-recreate", "proxy")
    fleet.refresh_names()

    wait_until(lambda: answers(name), RESTART_SECONDS, "the new proxy")
    again = Kernel.attach(base_of(url), kernel.id)
    assert again.run("x + 1") == "42"
    again.close()
    end(fleet, url)


def test_an_upgraded_redirector_turns_nobody_away_and_keeps_the_fleet(fleet: ContainerFleet) -> None:
    url = a_place(fleet)
    redirector = fleet.redirector
    with Kernel(base_of(url)) as kernel:
        redirector.build("redirector", f"{fleet.tag}-next")
        upgrade = subprocess.Popen(redirector.argv("up", "--detach", "--no-deps", "redirector"))
        answers_meanwhile: list[requests.Response] = []
        while upgrade.poll() is None or answers_meanwhile[-1].status_code != 200:
            answers_meanwhile.append(requests.get(f"{fleet.url}/healthz", timeout=30))
            assert len(answers_meanwhile) < 20_000
            time.sleep(0.01)  # more a second than the front takes from one address would be told so
        assert kernel.run("6*7") == "42"

    assert upgrade.returncode == 0
    assert {answer.status_code for answer in answers_meanwhile} <= {200, 503}
    assert all(answer.headers.get("Retry-After") for answer in answers_meanwhile if answer.status_code == 503)
    assert {node["name"] for node in json.loads(fleet.tmpnb("node", "list", "--json"))} == {"n1", "n2", "n3"}
    end(fleet, url)


def test_nobody_is_refused_while_the_redirectors_server_is_killed_and_started_anew(fleet: ContainerFleet) -> None:
    [described] = json.loads(command("docker", "inspect", fleet.redirector.container("redirector")))
    holder = psutil.Process(described["State"]["Pid"])
    [server] = holder.children()
    statuses: list[int] = []

    def replaced() -> bool:
        statuses.append(requests.get(f"{fleet.url}/stats", timeout=30).status_code)
        return bool(holder.children()) and not any(worker.is_running() for worker in (server, *workers))

    workers = server.children()
    server.kill()
    wait_until(replaced, RESTART_SECONDS, "another server")
    statuses += [requests.get(f"{fleet.url}/stats", timeout=30).status_code for _ in range(10)]
    assert set(statuses) == {200}


def test_a_drained_node_gets_nobody_and_its_sessions_go_on(fleet: ContainerFleet) -> None:
    url = arrive_at(fleet, "n1")
    with Kernel(base_of(url)) as kernel:
        fleet.wait_until_available(3 * CAPACITY - 1)
        fleet.tmpnb("node", "drain", "n1", "--reason", "a new disk")
        landed = [arrive(fleet) for _ in range(CAPACITY)]

        assert "n1" not in {host(other) for other in landed}
        assert kernel.run("6*7") == "42"
        assert fleet.node("n1")["reason"]
    for other in (url, *landed):
        end(fleet, other)
    fleet.tmpnb("node", "resume", "n1")
    wait_until(lambda: fleet.node("n1")["eligible"], RESTART_SECONDS, "n1 in use again")


def test_a_node_cut_off_the_network_costs_no_visitor_an_error(fleet: ContainerFleet) -> None:
    fleet.wait_until_available(3 * CAPACITY)
    proxy = fleet.nodes["n2"].container("proxy")
    command("docker", "network", "disconnect", fleet.name, proxy)

    landed = [fleet.visit() for _ in range(CAPACITY)]

    assert [answer.status_code for answer in landed] == [302] * CAPACITY
    urls = [answer.headers["Location"] for answer in landed]
    assert "n2" not in {host(url) for url in urls}
    with Kernel(base_of(urls[0])) as kernel:
        assert kernel.run("6*7") == "42"

    command("docker", "network", "connect", "--alias", "n2.fleet.test", fleet.name, proxy)
    fleet.refresh_names()
    wait_until(lambda: fleet.node("n2")["health"] == "up", RESTART_SECONDS, "n2 in use again")
    for url in urls:
        end(fleet, url)


def test_a_renewed_certificate_of_a_node_ends_no_websocket(fleet: ContainerFleet) -> None:
    url = a_place(fleet)
    name = host(url)
    with Kernel(base_of(url)) as kernel:
        before = serial(fleet, name)
        fleet.certify(name)

        wait_until(lambda: serial(fleet, name) not in ("", before), RESTART_SECONDS, "the new certificate")
        assert kernel.run("6*7") == "42"
    end(fleet, url)


def serial(fleet: ContainerFleet, name: str) -> str:
    trusting = ssl.create_default_context(cafile=str(fleet.authority.certificate))
    try:
        with (
            socket.create_connection((f"{name}.fleet.test", 443), timeout=5) as bare,
            trusting.wrap_socket(bare, server_hostname=f"{name}.fleet.test") as tls,
        ):
            return str((tls.getpeercert() or {})["serialNumber"])
    except OSError:
        return ""


def test_a_new_notebook_image_is_rolled_over_the_fleet_and_back(fleet: ContainerFleet) -> None:
    first = fleet.nodes["n1"].settings["TMPNB_NODE_IMAGE"]
    fresh = f"tmpnb-notebook-test:{TAG}-rolled"
    command("docker", "tag", first, fresh)
    url = arrive_at(fleet, "n2")
    with Kernel(base_of(url)) as kernel:
        kernel.run("x = 41")

        fleet.tmpnb("roll", fresh, within=300)
        wait_until(
            lambda: all(ready_images(fleet, name) == {fresh} for name in ("n1", "n2", "n3")),
            START_SECONDS,
            "only fresh sandboxes",
        )
        assert kernel.run("x + 1") == "42"

        fleet.tmpnb("roll", fresh, "--back", within=300)
        wait_until(lambda: ready_images(fleet, "n2") == {first}, START_SECONDS, "the sandboxes of before")
        assert kernel.run("x + 1") == "42"
    end(fleet, url)


def test_a_new_notebook_image_in_one_nodes_settings_leaves_sessions_theirs(fleet: ContainerFleet) -> None:
    fresh = f"tmpnb-notebook-test:{TAG}"
    command("docker", "tag", fleet.nodes["n1"].settings["TMPNB_NODE_IMAGE"], fresh)
    url = arrive_at(fleet, "n1")
    with Kernel(base_of(url)) as kernel:
        kernel.run("x = 41")
        fleet.nodes["n1"].set(TMPNB_NODE_IMAGE=fresh)
        fleet.nodes["n1"].compose("up", "--detach", "--no-deps", "agent")
        wait_until(lambda: ready_images(fleet, "n1") == {fresh}, START_SECONDS, "only fresh sandboxes")
        assert kernel.run("x + 1") == "42"
    end(fleet, url)


def ready_images(fleet: ContainerFleet, name: str) -> set[str]:
    """Of the sandboxes that wait for visitors."""
    run_dir = fleet.root / "run" / name
    ready = {path.name[:8] for path in (run_dir / "ready").iterdir()}
    listed = command("docker", "ps", "--filter", f"label=tmpnb.node={name}", "--format", "{{.Names}} {{.Image}}")
    by_name = dict(line.split(" ") for line in listed.splitlines())
    return {image for container, image in by_name.items() if container.rpartition("-")[2] in ready}


def test_a_node_s_token_is_changed_while_both_are_valid(fleet: ContainerFleet) -> None:
    node = fleet.nodes["n1"]
    inside = ("exec", "-T", "agent", "sh", "-c")
    token = "/var/lib/tmpnb-agent/token"
    fresh = uuid.uuid4().hex
    node.compose(*inside, f"umask 077; (cat; cat {token}) > {token}.new && mv {token}.new {token}", says=f"{fresh}\n")
    node.compose("restart", "agent")
    wait_until(lambda: answers("n1"), RESTART_SECONDS, "the agent")

    end(fleet, arrive_at(fleet, "n1"))
    fleet.add("n1")
    node.compose(*inside, f"umask 077; head -n 1 {token} > {token}.new && mv {token}.new {token}")
    node.compose("restart", "agent")
    wait_until(lambda: answers("n1"), RESTART_SECONDS, "the agent")

    end(fleet, arrive_at(fleet, "n1"))


def test_the_admin_token_is_changed_as_the_security_page_says(fleet: ContainerFleet) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    both, one = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[:2]
    token = fleet.redirector.directory / "secrets" / "admin_token"
    old = token.read_text().strip()

    fleet.redirector.follow(both)
    wait_until(fleet.stats, RESTART_SECONDS, "the redirector")
    fresh = token.read_text().split()[0]
    assert (admin_status(fleet, old), admin_status(fleet, fresh)) == (200, 200)

    fleet.redirector.follow(one)
    wait_until(fleet.stats, RESTART_SECONDS, "the redirector")
    assert (admin_status(fleet, old), admin_status(fleet, fresh)) == (403, 200)
    assert "n1" in fleet.tmpnb("node", "list")


def test_a_backup_made_as_the_operations_page_says_brings_the_fleet_back(fleet: ContainerFleet) -> None:
    page = (ROOT / "docs" / "operations.md").read_text().partition("## Backups")[2]
    backup, back = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[:2]
    url = arrive_at(fleet, "n2")
    with Kernel(base_of(url)) as kernel:
        fleet.redirector.follow(backup)
        fleet.tmpnb("node", "remove", "n2", "--force", "--yes")
        assert fleet.node("n2") == {}

        fleet.redirector.follow(re.sub(r"fleet-[\d-]+\.db", "fleet-*.db", back))

        wait_until(lambda: fleet.stats().get("available"), RESTART_SECONDS, "the redirector")
        wait_until(lambda: fleet.node("n2").get("eligible"), RESTART_SECONDS, "n2 in use again")
        assert kernel.run("6*7") == "42"
    [made] = fleet.redirector.directory.glob("fleet-*.db")
    assert made.stat().st_mode & 0o077 == 0
    end(fleet, url)


def admin_status(fleet: ContainerFleet, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{fleet.url}/api/nodes", headers=headers, timeout=10).status_code


def test_a_host_is_replaced_while_sessions_elsewhere_go_on(fleet: ContainerFleet) -> None:
    url = arrive_at(fleet, "n2")
    with Kernel(base_of(url)) as kernel:
        fleet.start("n4")
        wait_until(lambda: answers("n4"), START_SECONDS, "the new host")
        token = fleet.nodes["n4"].compose("exec", "-T", "agent", "cat", "/var/lib/tmpnb-agent/token")
        order = ["node", "rotate", "n1", "https://n4.fleet.test", "--name", "n4", "--token-file", "/dev/stdin"]

        fleet.tmpnb(*order, "--timeout", "120", says=token, within=300)

        assert {node["name"] for node in json.loads(fleet.tmpnb("node", "list", "--json"))} == {"n2", "n3", "n4"}
        assert kernel.run("6*7") == "42"
    end(fleet, arrive_at(fleet, "n4"))
    end(fleet, url)


def test_no_log_of_any_container_holds_a_key_or_a_token(fleet: ContainerFleet) -> None:
    url = a_place(fleet)
    key = url.partition("/user/")[2].split("/")[0]
    requests.get(f"https://{host(url)}.fleet.test/user/{key}/api/status?x={key}", timeout=10)
    requests.get(f"{fleet.url}/user/{key}/lab", allow_redirects=False, timeout=10)
    running = [node for node in fleet.nodes.values() if node.container("agent")]
    tokens = [
        (fleet.redirector.directory / "secrets" / "admin_token").read_text().strip(),
        *(node.compose("exec", "-T", "agent", "cat", "/var/lib/tmpnb-agent/token") for node in running),
    ]

    logs = "".join(project.compose("logs", "--no-color") for project in (fleet.redirector, *fleet.nodes.values()))

    assert key[:8] in logs, "the sandbox's name is how one follows a visitor"
    assert key not in logs
    assert not [hashlib.sha256(token.encode()).hexdigest() for token in tokens if token.split()[0] in logs]
