"""The systemd units, started by a real systemd with all their hardening, in a container that stands for a host."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.container_fleet import command
from tests.support.docker_host import build, local_engine, notebook_image
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RECIPE = (
    (DEPLOY / "node" / "Dockerfile").read_text()
    + """
RUN apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus procps curl >/dev/null \\
 && rm -rf /var/lib/apt/lists/*
ENTRYPOINT []
CMD ["/lib/systemd/systemd"]
"""
)
START_SECONDS = 90.0
STANDALONE = "http://127.0.0.1:8101"


class Host:
    """A machine with systemd, this engine's socket, and what docs/operations.md has one copy."""

    def __init__(self, image: str, sandbox_image: str) -> None:
        self.name = f"tmpnb-test-{uuid.uuid4().hex[:8]}"
        # The engine has to find sandboxes' directories at the path that the agent names, so /run/tmpnb, which is the
        # container's own, will not do.
        self.run_dir = Path(tempfile.mkdtemp(prefix="t", dir="/run"))
        self.run_dir.chmod(0o755)
        (self.run_dir / "n").mkdir()
        self._start(image)
        self._copy(sandbox_image)

    def _start(self, image: str) -> None:
        cgroups = "/sys/fs/cgroup/systemd" if Path("/sys/fs/cgroup/systemd").exists() else "/sys/fs/cgroup"
        # What systemd needs for its units' namespaces; with SYS_PTRACE it sees its own children under hidepid.
        options = ["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined"]
        options += ["--security-opt", "apparmor=unconfined", "--env", "container=docker"]
        # Whoever visits is inside.
        options += ["--network", "none", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]
        for shared in (cgroups, "/var/run/docker.sock", str(self.run_dir)):
            options += ["--volume", f"{shared}:{shared}"]
        command("docker", "run", "--detach", "--name", self.name, "--hostname", self.name, *options, image)
        self.wait_for("systemctl is-system-running | grep -E 'running|degraded'")
        # As on a host; containers start with private mounts, and credentials would not arrive.
        self.run("mount --make-rshared /")

    def _copy(self, sandbox_image: str) -> None:
        self.run("mkdir -p /etc/tmpnb")
        for unit in DEPLOY.glob("*/systemd/*"):
            command("docker", "cp", unit, f"{self.name}:/etc/systemd/system/")
        command("docker", "cp", DEPLOY / "gunicorn.conf.py", f"{self.name}:/etc/tmpnb/")
        self.write("/etc/tmpnb/redirector.env", "TMPNB_ENTRY_URL=https://notebooks.example.org\n")
        for secret in ("admin-token", "join-token"):
            self.write(f"/etc/tmpnb/{secret}", f"{uuid.uuid4().hex}\n")
        self.write(
            "/etc/tmpnb/node.env",
            f"TMPNB_NODE_NAME={self.name}\nTMPNB_NODE_LISTEN=127.0.0.1:8101\nTMPNB_NODE_CAPACITY=1\n"
            f"TMPNB_NODE_IMAGE={sandbox_image}\nTMPNB_NODE_RUN_DIR={self.run_dir}/n\n",
        )
        self.write(
            "/etc/systemd/system/tmpnb-proxy.socket.d/test.conf",
            "[Socket]\nListenStream=\nListenStream=127.0.0.1:8101\n",
        )
        for service in ("agent", "proxy"):
            drop_in = f"/etc/systemd/system/tmpnb-{service}.service.d"
            self.write(f"{drop_in}/test.conf", f"[Service]\nReadWritePaths={self.run_dir}\n")
        self.run("chmod 600 /etc/tmpnb/*.env /etc/tmpnb/*-token && systemctl daemon-reload")

    def run(self, line: str, says: str | None = None) -> str:
        return command("docker", "exec", "--interactive", self.name, "sh", "-c", line, says=says)

    def write(self, path: str, text: str) -> None:
        self.run(f"mkdir -p $(dirname {path}) && cat > {path}", says=text)

    def works(self, line: str) -> bool:
        try:
            self.run(line)
        except AssertionError:
            return False
        return True

    def wait_for(self, line: str) -> None:
        wait_until(lambda: self.works(line), START_SECONDS, line)

    def end(self) -> None:
        self.run("systemctl stop tmpnb-agent tmpnb-proxy.socket tmpnb-proxy")
        self.run("set -a; . /etc/tmpnb/node.env; tmpnb-agent purge")
        print(self.run("journalctl --no-pager -o short-monotonic -u 'tmpnb-*' | tail -60"))
        command("docker", "rm", "--force", "--volumes", self.name)
        shutil.rmtree(self.run_dir)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with local_engine():
        packages = [ROOT / name for name in ("redirector", "node_agent", "tmpnb_common")]
        sources = [path for package in packages for path in package.rglob("*.py")]
        sources += [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
        image = build("tmpnb-test-systemd", RECIPE, sources, ROOT)
        sandbox_image = notebook_image()
    started = Host(image, sandbox_image)
    yield started
    started.end()
    assert not command("docker", "ps", "--all", "--quiet", "--filter", f"label=tmpnb.node={started.name}").strip()


def test_the_redirector_starts_as_a_nobody_and_knows_the_admin_token(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")

    uid = host.run("stat -c %u /proc/$(systemctl show --property MainPID --value tmpnb-redirector)").strip()
    assert int(uid) >= 60_000
    said = host.run("TMPNB_URL=http://127.0.0.1:8000 TMPNB_TOKEN_FILE=/etc/tmpnb/admin-token tmpnb status")
    assert "nodes" in said
    assert '"available"' in host.run("curl -s --unix-socket /run/tmpnb-redirector/http.sock http://entry/stats")


def test_the_worker_fetches_contents_as_the_same_nobody_and_comes_back_when_it_is_killed(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")
    host.run("mkdir -p /srv/course && echo hello > /srv/course/hello.txt && chmod -R a+rX /srv/course")
    tmpnb = "TMPNB_URL=http://127.0.0.1:8000 TMPNB_TOKEN_FILE=/etc/tmpnb/admin-token tmpnb"
    host.run(f"{tmpnb} content add first dir:/srv/course")
    host.wait_for(f'{tmpnb} content show first --json | grep -E \'"digest": ?"[0-9a-f]{{64}}\'')

    host.run("systemctl kill --signal=KILL tmpnb-worker")
    host.run(f"echo again > /srv/course/again.txt && {tmpnb} content add second dir:/srv/course")

    host.wait_for(f'{tmpnb} content show second --json | grep -E \'"digest": ?"[0-9a-f]{{64}}\'')
    users = "stat -c %u /proc/$(systemctl show --property MainPID --value tmpnb-{})"
    assert host.run(users.format("worker")) == host.run(users.format("redirector"))


def test_event_streams_have_a_unit_of_their_own_whose_restart_refuses_nobody(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")
    launch = (
        "curl -sN -H 'Accept: text/event-stream' -H 'X-Forwarded-For: 192.0.2.1' --max-time 30 "
        "--unix-socket /run/tmpnb-redirector/streams.sock http://entry/build/gh/org/course/HEAD"
    )
    # Nothing is allowed here, which is what the redirector itself says.
    assert "not allowed here" in host.run(launch)
    said = host.run(
        f"(for i in $(seq 20); do {launch} || echo failed=$?; done) & systemctl restart tmpnb-streams; wait"
    )
    assert "failed=7" not in said  # refused, in curl's words
    # One may have been in the middle of its request.
    assert said.count("not allowed here") >= 19
    users = "stat -c %u /proc/$(systemctl show --property MainPID --value tmpnb-{})"
    assert host.run(users.format("streams")) == host.run(users.format("redirector"))


def test_a_restart_of_the_redirector_refuses_nobody(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")

    knocking = "for i in $(seq 80); do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:8000/stats; done"
    said = host.run(f"({knocking}) & systemctl restart tmpnb-redirector; wait")

    assert said.split() == ["200"] * 80


def reload_redirector(host: Host) -> None:
    """HUP, until all workers are others."""
    workers = "pgrep --parent $(systemctl show --property MainPID --value tmpnb-redirector) | sort | tr '\\n' ' '"
    before = set(host.run(workers).split())
    host.run("systemctl reload tmpnb-redirector")
    wait_until(lambda: len(now := set(host.run(workers).split())) >= 2 and not now & before, START_SECONDS, "workers")


def test_a_reload_takes_new_workers(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")

    reload_redirector(host)

    assert host.works("curl -sf http://127.0.0.1:8000/stats")


def test_a_new_version_takes_a_restart_for_a_reload_goes_on_with_the_old_one(host: Host) -> None:
    host.run("systemctl start tmpnb-redirector.socket tmpnb-redirector")
    version = "curl -s http://127.0.0.1:8000/stats | grep -o '\"version\":.*'"
    installed = host.run("/opt/tmpnb/bin/python -c 'import tmpnb_common.version as version; print(version.__file__)'")
    host.run(f"sed -i 's/^VERSION = .*/VERSION = \"9.9.9\"/' {installed}")

    reload_redirector(host)
    assert "9.9.9" not in host.run(version)

    host.run("systemctl restart tmpnb-redirector")
    assert "9.9.9" in host.run(version)


def test_agent_and_proxy_serve_a_visitor_whose_session_outlives_restarts_of_both(host: Host) -> None:
    host.run("systemctl start tmpnb-agent tmpnb-proxy")
    host.wait_for("systemd-run --quiet --wait --pipe -p EnvironmentFile=/etc/tmpnb/node.env tmpnb-agent health")
    host.wait_for(f"curl -s {STANDALONE}/stats | grep -E '\"available\": ?1'")
    path = host.run(f"curl -s -o /dev/null -w '%{{redirect_url}}' {STANDALONE}/").strip()
    sandbox = f"curl -sf {path.partition('/lab')[0]}/api"
    assert "version" in host.run(sandbox)
    assert "<!doctype html>" in host.run(f"curl -s {STANDALONE}/user/{'a' * 34}/lab").lower()

    host.run("systemctl restart tmpnb-agent")
    host.run("systemctl restart tmpnb-proxy")

    host.wait_for(sandbox)
    host.wait_for("systemd-run --quiet --wait --pipe -p EnvironmentFile=/etc/tmpnb/node.env tmpnb-agent health")


def test_a_restart_of_the_proxy_refuses_nobody(host: Host) -> None:
    host.run("systemctl start tmpnb-proxy.socket tmpnb-agent tmpnb-proxy")
    host.wait_for(f"curl -sf {STANDALONE}/stats")
    knocking = f"for i in $(seq 80); do curl -s -o /dev/null -w '%{{http_code}} ' {STANDALONE}/stats; done"
    said = host.run(f"({knocking}) & systemctl restart tmpnb-proxy; wait")

    assert said.split() == ["200"] * 80


def test_the_proxy_writes_its_log_where_logrotate_looks(host: Host) -> None:
    host.run("systemctl start tmpnb-agent tmpnb-proxy")
    host.wait_for(f"curl -sf {STANDALONE}/stats")

    host.run("mv /var/log/tmpnb/access.log /var/log/tmpnb/access.log.1")
    host.run(f"kill -USR1 $(cat {host.run_dir}/n/nginx/nginx.pid)")

    host.wait_for(f"curl -sf {STANDALONE}/stats && grep -q 'GET stats 200' /var/log/tmpnb/access.log")
