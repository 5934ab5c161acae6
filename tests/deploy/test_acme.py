"""Certificates from an ACME authority, by certbot as docs/operations.md has it; Debian's pebble stands for one."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.authority import Authority
from tests.support.container_fleet import ROOT, START_SECONDS, Project, command, public_names
from tests.support.docker_host import BASE_IMAGE, build, local_engine, notebook_image
from tests.support.kernels import Kernel, base_of
from tests.support.programs import need
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(600)]

RECIPE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends pebble certbot >/dev/null
"""
AUTHORITY = "acme.fleet.test"


class Acme:
    """An authority that proves by HTTP who asks for a certificate, on a network with names."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.root.chmod(0o755)
        self.network = f"tmpnb{self.root.name}".lower().replace("_", "x")
        self.authority = Authority(self.root / "authority")
        command("docker", "network", "create", self.network)
        self.authority.issue(self.root / "acme-tls", AUTHORITY)
        settings = {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/tls/fullchain.pem",
            "privateKey": "/tls/privkey.pem",
            "httpPort": 80,
            "tlsPort": 443,
        }
        (self.root / "acme-tls" / "pebble.json").write_text(json.dumps({"pebble": settings}))
        options = ["--detach", "--network", self.network, "--network-alias", AUTHORITY]
        options += ["--volume", f"{self.root}/acme-tls:/tls:ro"]
        # Pebble otherwise takes its time and refuses every twentieth call, to teach its clients patience.
        options += ["--env", "PEBBLE_VA_NOSLEEP=1", "--env", "PEBBLE_WFE_NONCEREJECT=0"]
        self.container = command("docker", "run", *options, image, "pebble", "-config", "/tls/pebble.json").strip()

    def address_of(self, container: str) -> str:
        [described] = json.loads(command("docker", "inspect", container))
        return str(described["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def trusted(self) -> Path:
        """The root of what it issues: another one at each of its starts."""
        with public_names({AUTHORITY: self.address_of(self.container)}, self.authority.certificate):
            answer = requests.get(f"https://{AUTHORITY}:15000/roots/0", timeout=10)
        answer.raise_for_status()
        path = self.root / "pebble-root.pem"
        path.write_text(answer.text)
        return path

    def end(self) -> None:
        command("docker", "rm", "--force", "--volumes", self.container)
        command("docker", "network", "rm", self.network)
        shutil.rmtree(self.root)


class Host:
    """A host that has no certificate yet; of its services one faces the Internet."""

    part: str
    service: str
    name: str
    waiting_status: int
    """Of plain HTTP while there is no certificate."""

    def __init__(self, acme: Acme) -> None:
        self.acme = acme
        self.directory = acme.root / self.part
        self.letsencrypt, self.webroot = self.directory / "letsencrypt", self.directory / "acme"
        for directory in (self.letsencrypt, self.webroot):
            directory.mkdir(parents=True)
        build_options = {"context": str(ROOT), "network": "host"}
        networks = {"default": {}, "internet": {"aliases": [self.name]}}
        self.project = Project(
            self.part,
            f"{acme.network}{self.part[0]}",
            self.directory,
            {
                "TMPNB_CERTIFICATES": str(self.letsencrypt),
                "TMPNB_HTTPS_PORT": "127.0.0.1:",
                "TMPNB_HTTP_PORT": "127.0.0.1:",
                "TMPNB_VERSION": "deploy-test",
                "BASE_IMAGE": BASE_IMAGE,
                **self.settings(self.letsencrypt / "live" / self.name),
            },
            {
                "services": {self.service: {"build": build_options, "networks": networks}},
                "networks": {"internet": {"external": True, "name": acme.network}},
            },
        )
        self.project.compose("build", "--quiet", self.service, within=600)
        self.project.compose("up", "--detach", *self.started())

    def settings(self, certificate: Path) -> dict[str, str]:
        raise NotImplementedError

    def started(self) -> list[str]:
        """The services that this takes."""
        return [self.service]

    def certbot(self, *words: str) -> None:
        options = ["--rm", "--network", self.acme.network, "--env", "REQUESTS_CA_BUNDLE=/authority.pem"]
        for source, target in (
            (self.letsencrypt, "/etc/letsencrypt"),
            (self.webroot, "/var/lib/tmpnb-acme"),
            (self.acme.authority.certificate, "/authority.pem"),
        ):
            options += ["--volume", f"{source}:{target}"]
        always = ["--server", f"https://{AUTHORITY}:14000/dir", "--non-interactive", "--agree-tos"]
        command("docker", "run", *options, self.acme.image, "certbot", *words, *always)

    def get_certificate(self) -> None:
        self.certbot(
            "certonly", "--webroot", "-w", "/var/lib/tmpnb-acme", "-d", self.name, "-m", "operator@example.org"
        )

    def renew(self) -> None:
        # From a timer it would first wait for some minutes, to spare the authority everyone's renewals at once.
        self.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")

    @cached_property
    def address(self) -> str:
        return self.acme.address_of(self.project.container(self.service))

    def plain_status(self) -> int:
        try:
            answer = requests.get(
                f"http://{self.address}/", headers={"Host": self.name}, allow_redirects=False, timeout=5
            )
        except requests.RequestException:
            return 0
        return answer.status_code

    def certificate(self) -> str:
        """Issuer and serial of what TLS shows to newcomers; empty before there is any."""
        try:
            pem = ssl.get_server_certificate((self.address, 443), timeout=5)
        except (TimeoutError, OSError):
            return ""
        argv = ["openssl", "x509", "-noout", "-issuer", "-serial"]
        return subprocess.run(argv, input=pem, capture_output=True, text=True, check=True).stdout

    def started_at(self) -> str:
        return command("docker", "inspect", "--format", "{{.State.StartedAt}}", self.project.container(self.service))

    def end(self) -> None:
        print(self.project.logs())
        self.project.compose("down", "--volumes")


class Entry(Host):
    """The front of a redirector; that itself is not needed here."""

    part, service, name = "redirector", "front", "entry.fleet.test"
    waiting_status = 503

    def settings(self, certificate: Path) -> dict[str, str]:
        return {"TMPNB_TLS_DIR": str(certificate), "TMPNB_ACME_DIR": str(self.webroot)}


class NodeHost(Host):
    """A node that stands alone, with one sandbox."""

    part, service, name = "node", "proxy", "node.fleet.test"
    waiting_status = 301

    def settings(self, certificate: Path) -> dict[str, str]:
        return {
            "TMPNB_NODE_NAME": "n1",
            "TMPNB_NODE_URL": f"https://{self.name}",
            "TMPNB_NODE_IMAGE": notebook_image(),
            "TMPNB_NODE_CAPACITY": "1",
            "TMPNB_NODE_RUN_DIR": str(self.directory / "run"),
            "TMPNB_NODE_TLS_CERT": str(certificate / "fullchain.pem"),
            "TMPNB_NODE_TLS_KEY": str(certificate / "privkey.pem"),
            "TMPNB_NODE_ACME_DIR": str(self.webroot),
        }

    def started(self) -> list[str]:
        return ["agent", "proxy"]

    def end(self) -> None:
        self.project.compose("stop", "agent")
        self.project.compose("run", "--rm", "--no-deps", "agent", "purge")
        super().end()


@pytest.fixture(scope="module")
def acme() -> Iterator[Acme]:
    need("docker-compose")
    with local_engine():
        pass
    with tempfile.TemporaryDirectory() as nothing:
        image = build("tmpnb-test-acme", RECIPE, [], Path(nothing))
    started = Acme(image)
    yield started
    started.end()


@pytest.fixture(scope="module")
def entry(acme: Acme) -> Iterator[Entry]:
    started = Entry(acme)
    yield started
    started.end()


@pytest.fixture(scope="module")
def node(acme: Acme) -> Iterator[NodeHost]:
    started = NodeHost(acme)
    yield started
    started.end()


@pytest.fixture(params=["entry", "node"])
def each(request: pytest.FixtureRequest) -> Host:
    found: Host = request.getfixturevalue(request.param)
    return found


def test_a_first_certificate_is_got_through_a_host_that_waits_and_used_without_a_restart(each: Host) -> None:
    wait_until(lambda: each.plain_status() == each.waiting_status, START_SECONDS, "the host that waits")
    assert each.certificate() == ""
    started = each.started_at()

    each.get_certificate()

    assert "Pebble" in wait_until(each.certificate, START_SECONDS, "TLS")
    assert each.plain_status() == 301
    assert each.started_at() == started


def test_a_renewed_certificate_is_used_without_a_restart(entry: Entry) -> None:
    before = wait_until(entry.certificate, START_SECONDS, "TLS")
    started = entry.started_at()

    entry.renew()

    wait_until(lambda: entry.certificate() not in ("", before), START_SECONDS, "the renewed certificate")
    assert entry.started_at() == started


def test_a_kernel_s_open_websocket_goes_on_over_a_renewal(node: NodeHost) -> None:
    before = wait_until(node.certificate, START_SECONDS, "TLS")
    started = node.started_at()
    with public_names({node.name: node.address}, node.acme.trusted()):

        def arrived() -> str:
            answer = requests.get(f"https://{node.name}/", allow_redirects=False, timeout=10)
            return answer.headers["Location"] if answer.status_code == 302 else ""

        base = base_of(urljoin(f"https://{node.name}/", wait_until(arrived, START_SECONDS, "a sandbox")))
        with Kernel(base) as kernel:
            kernel.run("x = 41")

            node.renew()

            wait_until(lambda: node.certificate() not in ("", before), START_SECONDS, "the renewed certificate")
            assert kernel.run("x + 1") == "42"
            assert requests.get(f"{base}api", timeout=10).ok, "and new connections trust the new certificate"
    assert node.started_at() == started
