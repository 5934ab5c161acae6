"""Certificates from an ACME authority, by certbot as docs/operations.md has it; Debian's pebble stands for one."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.authority import Authority
from tests.support.container_fleet import ROOT, START_SECONDS, Project, command
from tests.support.docker_host import BASE_IMAGE, build, local_engine
from tests.support.programs import need
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(600)]

RECIPE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends pebble certbot >/dev/null
"""
ENTRY = "entry.fleet.test"


class Entry:
    """The front of a redirector that has no certificate yet, and an authority, on a network with names."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.root.chmod(0o755)
        self.name = f"tmpnb{self.root.name}".lower().replace("_", "x")
        self.authority = Authority(self.root / "authority")
        for directory in ("letsencrypt", "acme"):
            (self.root / directory).mkdir()
        command("docker", "network", "create", self.name)
        self.front = self._start_front()
        self.acme = self._start_acme()

    def _start_front(self) -> Project:
        build_options = {"context": str(ROOT), "network": "host"}
        networks = {"default": {}, "internet": {"aliases": [ENTRY]}}
        front = Project(
            "redirector",
            f"{self.name}r",
            self.root,
            {
                "TMPNB_TLS_DIR": str(self.root / "letsencrypt" / "live" / ENTRY),
                "TMPNB_CERTIFICATES": str(self.root / "letsencrypt"),
                "TMPNB_ACME_DIR": str(self.root / "acme"),
                "TMPNB_HTTPS_PORT": "127.0.0.1:",
                "TMPNB_HTTP_PORT": "127.0.0.1:",
                "TMPNB_VERSION": "deploy-test",
                "BASE_IMAGE": BASE_IMAGE,
            },
            {
                "services": {"front": {"build": build_options, "networks": networks}},
                "networks": {"internet": {"external": True, "name": self.name}},
            },
        )
        front.compose("build", "--quiet", "front", within=600)
        front.compose("up", "--detach", "front")
        return front

    def _start_acme(self) -> str:
        self.authority.issue(self.root / "acme-tls", "acme.fleet.test")
        settings = {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/tls/fullchain.pem",
            "privateKey": "/tls/privkey.pem",
            "httpPort": 80,
            "tlsPort": 443,
        }
        (self.root / "acme-tls" / "pebble.json").write_text(json.dumps({"pebble": settings}))
        options = ["--detach", "--network", self.name, "--network-alias", "acme.fleet.test"]
        options += ["--volume", f"{self.root}/acme-tls:/tls:ro"]
        # Pebble otherwise takes its time and refuses every twentieth call, to teach its clients patience.
        options += ["--env", "PEBBLE_VA_NOSLEEP=1", "--env", "PEBBLE_WFE_NONCEREJECT=0"]
        return command("docker", "run", *options, self.image, "pebble", "-config", "/tls/pebble.json").strip()

    def certbot(self, *words: str) -> None:
        options = ["--rm", "--network", self.name, "--env", "REQUESTS_CA_BUNDLE=/authority.pem"]
        for source, target in (
            (self.root / "letsencrypt", "/etc/letsencrypt"),
            (self.root / "acme", "/var/lib/tmpnb-acme"),
            (self.authority.certificate, "/authority.pem"),
        ):
            options += ["--volume", f"{source}:{target}"]
        always = ["--server", "https://acme.fleet.test:14000/dir", "--non-interactive", "--agree-tos"]
        command("docker", "run", *options, self.image, "certbot", *words, *always)

    def address(self) -> str:
        [described] = json.loads(command("docker", "inspect", self.front.container("front")))
        return str(described["NetworkSettings"]["Networks"][self.name]["IPAddress"])

    def plain_status(self) -> int:
        try:
            return requests.get(f"http://{self.address()}/", allow_redirects=False, timeout=5).status_code
        except requests.RequestException:
            return 0

    def certificate(self) -> str:
        """Issuer and serial of what TLS shows to newcomers; empty before there is any."""
        try:
            pem = ssl.get_server_certificate((self.address(), 443), timeout=5)
        except (TimeoutError, OSError):
            return ""
        argv = ["openssl", "x509", "-noout", "-issuer", "-serial"]
        return subprocess.run(argv, input=pem, capture_output=True, text=True, check=True).stdout

    def end(self) -> None:
        print(self.front.logs())
        command("docker", "rm", "--force", "--volumes", self.acme)
        self.front.compose("down", "--volumes")
        command("docker", "network", "rm", self.name)
        shutil.rmtree(self.root)


@pytest.fixture(scope="module")
def entry() -> Iterator[Entry]:
    need("docker-compose")
    with local_engine():
        pass
    with tempfile.TemporaryDirectory() as nothing:
        image = build("tmpnb-test-acme", RECIPE, [], Path(nothing))
    started = Entry(image)
    yield started
    started.end()


def test_a_first_certificate_is_got_through_the_waiting_front_and_used_without_a_restart(entry: Entry) -> None:
    wait_until(lambda: entry.plain_status() == 503, START_SECONDS, "the front that waits")

    entry.certbot("certonly", "--webroot", "-w", "/var/lib/tmpnb-acme", "-d", ENTRY, "-m", "operator@example.org")

    assert "Pebble" in wait_until(entry.certificate, START_SECONDS, "TLS")
    assert entry.plain_status() == 301


def test_a_renewed_certificate_is_used_without_a_restart(entry: Entry) -> None:
    before = wait_until(entry.certificate, START_SECONDS, "TLS")
    started = command("docker", "inspect", "--format", "{{.State.StartedAt}}", entry.front.container("front"))

    # From a timer it would first wait for some minutes, to spare the authority everyone's renewals at once.
    entry.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")

    wait_until(lambda: entry.certificate() not in ("", before), START_SECONDS, "the renewed certificate")
    assert command("docker", "inspect", "--format", "{{.State.StartedAt}}", entry.front.container("front")) == started
