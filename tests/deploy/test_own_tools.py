"""What operators copy, as each file's own tool sees it; and every shipped file has a check."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node_agent.settings import table as node_config
from redirector.cli.config import unknown
from redirector.settings import table as redirector_config
from tests.support.authority import Authority
from tests.support.programs import missing, need

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*/systemd/tmpnb-*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
COMPOSE = sorted(DEPLOY.glob("*/docker-compose*.yml"))
EXPOSURE = 30
"""Of systemd's scale from 0 to 100; a service without any hardening has 96."""


def run(*argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_shipped_file_is_listed_with_what_checks_it() -> None:
    listed = set(re.findall(r"`([^`]+)`", (DEPLOY / "README.md").read_text()))
    tracked = run("git", "-C", ROOT, "ls-files", "deploy").stdout.splitlines()
    others = ("deploy/notebook/", "deploy/prometheus/", "deploy/grafana/")
    own = {path.removeprefix("deploy/") for path in tracked if not path.startswith(others) and "/." not in path}

    assert own - {"README.md"} <= listed


def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    need("systemd-analyze")
    for unit in UNITS:
        # The programs are where this environment has them.
        text = unit.read_text().replace("/opt/tmpnb/bin/", f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text)

    done = run("systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS))

    assert [line for line in done.stderr.splitlines() if "tmpnb-" in line] == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_can_do_little_beyond_its_work(unit: Path) -> None:
    need("systemd-analyze")

    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", unit)


@pytest.mark.parametrize("compose", COMPOSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_compose_file_is_sound_with_its_example_settings(compose: Path, tmp_path: Path) -> None:
    need("docker-compose")
    directory = tmp_path / compose.parent.name
    shutil.copytree(compose.parent, directory, ignore=shutil.ignore_patterns("secrets", ".env"))
    shutil.copy(directory / ".env.example", directory / ".env")
    files = [directory / "docker-compose.yml", directory / compose.name]

    run("docker-compose", "--project-directory", directory, *(f"--file={path}" for path in files), "config", "--quiet")


@pytest.mark.parametrize("compose", COMPOSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_compose_file_mounts_a_socket_which_would_be_that_of_a_server_before_its_restart(compose: Path) -> None:
    lines = [line.strip() for line in compose.read_text().splitlines() if not line.strip().startswith("#")]
    assert not [line for line in lines if re.match(r"- .*\.sock(:|$)", line)]


def test_a_postgresql_beside_the_redirector_is_one_line_in_its_settings(tmp_path: Path) -> None:
    need("docker-compose")
    directory = tmp_path / "redirector"
    shutil.copytree(DEPLOY / "redirector", directory, ignore=shutil.ignore_patterns("secrets", ".env"))
    settings = (directory / ".env.example").read_text()
    (directory / ".env").write_text(settings.replace("#COMPOSE_FILE=", "COMPOSE_FILE="))

    shown = run("sh", "-c", f"cd {directory} && docker-compose config").stdout

    assert "postgresql://tmpnb@postgres/tmpnb" in shown


def example(part: str) -> dict[str, str]:
    lines = (DEPLOY / part / ".env.example").read_text().splitlines()
    return dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))


def test_the_examples_of_a_node_s_settings_are_sound() -> None:
    settings = {name: value for name, value in example("node").items() if name.startswith("TMPNB_NODE_")}

    assert node_config.load(settings).speaks_tls


def test_the_examples_of_the_redirector_s_settings_are_sound(tmp_path: Path) -> None:
    settings = {**example("redirector"), "TMPNB_STATE": str(tmp_path)}

    assert redirector_config.load(settings).entry_url == "https://notebooks.example.org"
    assert unknown(settings) == []


def test_what_an_env_file_may_hold_for_compose_is_not_taken_for_a_misspelt_setting() -> None:
    texts = [(DEPLOY / "redirector" / name).read_text() for name in ("docker-compose.yml", ".env.example")]
    mine = set(re.findall(r"\bTMPNB_[A-Z_]+", "\n".join(texts)))

    assert {"TMPNB_TLS_DIR", "TMPNB_WORKERS"} < mine
    assert unknown(dict.fromkeys(mine, "")) == []


def test_nginx_approves_of_the_redirector_s_front(tmp_path: Path) -> None:
    nginx = need("nginx")
    Authority(tmp_path / "authority").issue(tmp_path / "tls", "notebooks.example.org")
    front = (DEPLOY / "redirector" / "nginx" / "tmpnb.conf").read_text()
    front = front.replace("/etc/tmpnb/tls/", f"{tmp_path}/tls/").replace("/var/log/nginx/", f"{tmp_path}/")
    (tmp_path / "tmpnb-front.conf").write_text(front)
    frame = (DEPLOY / "redirector" / "nginx" / "nginx.conf").read_text()
    frame = frame.replace("/run/", f"{tmp_path}/")
    (tmp_path / "nginx.conf").write_text(frame)

    done = run(nginx, "-t", "-q", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf")

    assert "[warn]" not in done.stderr
    assert "[emerg]" not in done.stderr


def test_the_kernel_knows_every_limit() -> None:
    lines = (DEPLOY / "host" / "90-tmpnb.conf").read_text().splitlines()
    limits = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))

    assert limits
    for name, value in limits.items():
        assert Path("/proc/sys", *name.split(".")).exists(), name
        assert int(value) > 0


def test_the_firewall_s_rules_load() -> None:
    nft = need("nft")
    if os.geteuid() != 0:
        missing("loading rules needs root")

    # In a network of its own: this machine's is not touched.
    listed = run("unshare", "--net", "sh", "-c", f"{nft} -f {DEPLOY}/host/firewall.nft && {nft} list ruleset").stdout

    assert "policy drop" in listed
    assert "tcp dport { 80, 443 } accept" in listed


def test_logrotate_reads_its_file_and_nginx_gets_a_fresh_log(tmp_path: Path) -> None:
    logrotate = need("logrotate")
    text = (DEPLOY / "host" / "logrotate").read_text()
    log = tmp_path / "log" / "access.log"
    log.parent.mkdir(mode=0o755)
    log.write_text("one line\n")
    told = tmp_path / "told"
    # Who stands for nginx writes down that it was told to open its log anew.
    listener = subprocess.Popen(["sh", "-c", f"trap 'touch {told}; exit' USR1; echo up; while :; do sleep 0.1; done"],
                                stdout=subprocess.PIPE)  # fmt: skip
    assert listener.stdout is not None
    listener.stdout.readline()
    (tmp_path / "nginx.pid").write_text(str(listener.pid))
    own = text.replace("/var/log/tmpnb/access.log", str(log)).replace(
        "/run/tmpnb/nginx/nginx.pid", str(tmp_path / "nginx.pid")
    )
    (tmp_path / "conf").write_text(own)
    (tmp_path / "conf").chmod(0o644)

    run(logrotate, "--force", "--state", tmp_path / "state", tmp_path / "conf")

    listener.wait(10)
    listener.stdout.close()
    assert told.exists()
    assert (tmp_path / "log" / "access.log.1").read_text() == "one line\n"


@pytest.mark.parametrize(
    "script", ["redirector/make-secrets", "redirector/nginx/front"], ids=lambda name: Path(name).name
)
def test_shellcheck_finds_nothing_in_a_script(script: str) -> None:
    need("shellcheck")

    run("shellcheck", DEPLOY / script)


def test_make_secrets_makes_a_token_once_and_never_again(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("the token is given to the container's user, which needs root")
    script = tmp_path / "make-secrets"
    shutil.copy(DEPLOY / "redirector" / "make-secrets", script)

    run(script)
    token = tmp_path / "secrets" / "admin_token"
    made = token.read_text()
    run(script)

    assert token.read_text() == made
    assert redirector_config.load({"TMPNB_ADMIN_TOKEN_FILE": str(token)}).admin_tokens == (made.strip(),)
    assert (token.stat().st_uid, token.stat().st_mode & 0o777) == (10001, 0o400)
