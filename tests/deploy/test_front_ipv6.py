"""The second front of docker-compose.ipv6.yml: it listens over IPv6 alone, and leaves IPv4 to the first one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.container_fleet import ROOT, command
from tests.support.docker_host import BASE_IMAGE, local_engine
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(600)]

IMAGE = "tmpnb-front:deploy-test"
PROBE = """
import socket
for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
    for port in (80, 443):
        with socket.socket(family) as client:
            print(host, port, "open" if client.connect_ex((host, port)) == 0 else "closed")
"""


@pytest.fixture
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("certified", [True, False])
def test_the_front_for_ipv6_leaves_ipv4_to_the_other_one(root: Path, *, certified: bool) -> None:
    with local_engine():
        recipe = ROOT / "deploy" / "redirector" / "nginx" / "Dockerfile"
        options = ["--quiet", "--network=host", f"--build-arg=BASE_IMAGE={BASE_IMAGE}", f"--file={recipe}"]
        command("docker", "build", *options, f"--tag={IMAGE}", ROOT, within=500)
    (root / "tls").mkdir()
    if certified:
        Authority(root / "authority").issue(root / "tls", "localhost")
    settings = ["--env=TMPNB_FRONT_IPV6_ONLY=1", "--env=TMPNB_TLS_DIR=/tls", f"--volume={root}/tls:/tls:ro"]
    # A network of its own, in which this machine is the only host.
    alone = ["--network=none", "--sysctl=net.ipv6.conf.all.disable_ipv6=0", "--tmpfs=/run", "--read-only"]
    writable = ["--tmpfs=/var/lib/nginx"]
    container = command("docker", "run", "--detach", *alone, *writable, *settings, IMAGE).strip()
    expected = {
        "::1 80 open",
        f"::1 443 {'open' if certified else 'closed'}",
        "127.0.0.1 80 closed",
        "127.0.0.1 443 closed",
    }
    try:
        wait_until(lambda: set(open_ports(container)) == expected, 30, f"{expected}")
    finally:
        command("docker", "rm", "--force", container)


def open_ports(container: str) -> list[str]:
    return command("docker", "exec", container, "python3", "-c", PROBE).splitlines()
