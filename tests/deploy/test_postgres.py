"""The redirector with the PostgreSQL that docker-compose.postgres.yml puts beside it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.container_fleet import RESTART_SECONDS, ROOT, START_SECONDS, Project, command
from tests.support.docker_host import BASE_IMAGE, build, local_engine
from tests.support.programs import need
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.docker, pytest.mark.timeout(600)]

STAND_IN = Path(__file__).with_name("postgres_entrypoint")
RECIPE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null
COPY {STAND_IN.name} /
ENTRYPOINT ["/{STAND_IN.name}"]
"""


@pytest.fixture(scope="module")
def redirector() -> Iterator[Project]:
    need("docker-compose")
    with local_engine():
        pass
    with tempfile.TemporaryDirectory() as context:
        copy = Path(context) / STAND_IN.name
        shutil.copy(STAND_IN, copy)
        image = build("tmpnb-test-postgres", RECIPE, [copy], Path(context))
    root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    name = f"tmpnb{root.name}".lower().replace("_", "x")
    settings = {
        "TMPNB_ENTRY_URL": "https://entry.fleet.test",
        "TMPNB_TLS_DIR": "/nowhere",
        "TMPNB_VERSION": "deploy-test",
        "BASE_IMAGE": BASE_IMAGE,
        "POSTGRES_IMAGE": image,
    }
    build_options = {"build": {"context": str(ROOT), "network": "host"}}
    started = Project("redirector", name, root, settings, {"services": {"redirector": build_options}})
    started.more_files = ("docker-compose.postgres.yml",)
    command(started.directory / "make-secrets")
    started.compose("build", "--quiet", "redirector", within=600)
    started.compose("up", "--detach", "redirector", "postgres")
    yield started
    print(started.logs())
    started.compose("down", "--volumes")
    shutil.rmtree(root)


def fleet(redirector: Project) -> dict[str, object]:
    """What the admin API says of the fleet; empty while it says nothing."""
    try:
        return dict(json.loads(redirector.compose("exec", "-T", "redirector", "tmpnb", "status", "--json")))
    except AssertionError:
        return {}


def health(redirector: Project) -> str:
    """What `/healthz` says, status first; empty while nobody listens."""
    program = (
        "import requests; said = requests.get('http://127.0.0.1:8000/healthz'); print(said.status_code, said.text)"
    )
    try:
        return redirector.compose("exec", "-T", "redirector", "python", "-c", program)
    except AssertionError:
        return ""


def test_the_fleet_is_kept_in_postgresql(redirector: Project) -> None:
    wait_until(lambda: fleet(redirector), START_SECONDS, "the redirector")

    argv = ("exec", "-T", "postgres", "sh", "-c")
    ask = "PGPASSWORD=$(cat $POSTGRES_PASSWORD_FILE) psql -h localhost -U tmpnb tmpnb -Atc"
    tables = redirector.compose(*argv, f"{ask} \"SELECT tablename FROM pg_tables WHERE schemaname = 'public'\"").split()

    assert "alembic_version" in tables


def test_the_redirector_goes_on_after_the_database_was_away(redirector: Project) -> None:
    wait_until(lambda: fleet(redirector), START_SECONDS, "the redirector")

    redirector.compose("restart", "postgres")

    wait_until(lambda: fleet(redirector), RESTART_SECONDS, "the fleet after a restart of the database")


def test_a_redirector_that_starts_before_its_database_waits_for_it(redirector: Project) -> None:
    """As after a reboot of the host, which starts both in whatever order."""
    wait_until(lambda: fleet(redirector), START_SECONDS, "the redirector")
    redirector.compose("stop", "postgres")
    redirector.compose("restart", "redirector")
    wait_until(lambda: health(redirector).startswith("503"), START_SECONDS, "an answer without a database")

    redirector.compose("start", "postgres")

    wait_until(lambda: fleet(redirector), RESTART_SECONDS, "the fleet once the database is there")
    assert health(redirector).startswith("200")


def test_a_backup_made_as_the_operations_page_says_brings_the_fleet_back(redirector: Project) -> None:
    page = (ROOT / "docs" / "operations.md").read_text().partition("With the PostgreSQL of")[2]
    backup, back = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[:2]
    wait_until(lambda: fleet(redirector), START_SECONDS, "the redirector")

    redirector.follow(backup)
    redirector.compose("stop", "redirector")
    redirector.compose("exec", "-T", "postgres", "psql", "-U", "tmpnb", "tmpnb", "-c", "DROP TABLE nodes CASCADE")
    redirector.follow(re.sub(r"fleet-[\d-]+\.dump", "fleet-*.dump", back))
    redirector.compose("start", "redirector")

    wait_until(lambda: fleet(redirector), START_SECONDS, "the fleet of the backup")


def test_a_second_host_shares_the_database_and_the_fleet(redirector: Project) -> None:
    """With the shipped files, the first one's secrets, and the database's address in its settings."""
    wait_until(lambda: fleet(redirector), START_SECONDS, "the first host")
    network = {"networks": {"default": {"external": True, "name": f"{redirector.name}_default"}}}
    url = "postgresql://tmpnb@postgres/tmpnb?passfile=/run/secrets/pgpass"
    settings = redirector.settings | {"TMPNB_DATABASE_URL": url}
    second = Project("redirector", f"{redirector.name}b", redirector.directory.parent, settings, network)
    command("cp", "-a", redirector.directory / "secrets", second.directory)
    try:
        second.compose("up", "--detach", "redirector")
        wait_until(lambda: fleet(second), START_SECONDS, "the second host")

        assert poller(second) == poller(redirector), "one of all workers polls for both"
    finally:
        print(second.logs())
        second.compose("down", "--volumes")


def poller(redirector: Project) -> str:
    """Which worker, on which host, asks the nodes."""
    shown = json.loads(redirector.compose("exec", "-T", "redirector", "tmpnb", "status", "--json"))
    return str(shown["poller"]["holder"])
