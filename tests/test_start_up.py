"""What a command imports before it does its work: only what it works with, so that nobody waits for a server."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from node_agent import cli as agent_cli
from redirector import cli as redirector_cli
from tmpnb_common.lazy_group import Later, LazyGroup

HEAVY = {"flask", "sqlalchemy", "alembic", "gunicorn", "docker", "prometheus_client", "psutil", "jinja2", "requests"}

RUN = """
import sys
from {package}.cli import main
sys.argv = {argv!r}
try:
    main()
except SystemExit:
    pass
print("imported:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def imported_by(package: str, *argv: str, **environ: str) -> set[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(package=package, argv=["program", *argv])],
        env=inherited | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize(
    ("package", "argv", "needed"),
    [
        ("redirector", ["--help"], set()),
        ("redirector", ["completion", "bash"], set()),
        ("redirector", ["status", "--url", "http://127.0.0.1:1"], {"requests"}),
        ("redirector", ["node", "drain", "--help"], {"requests"}),
        ("node_agent", ["--help"], set()),
        ("node_agent", ["health"], set()),
        ("node_agent", ["drain"], set()),
    ],
    ids=str,
)
def test_a_command_imports_only_what_it_works_with(package: str, argv: list[str], needed: set[str]) -> None:
    found = imported_by(package, *argv, TMPNB_TOKEN="a-token", TMPNB_NODE_RUN_DIR="/nonexistent/run")
    assert "click" in found
    assert found & HEAVY == needed


@pytest.mark.parametrize("group", [redirector_cli.main, agent_cli.agent], ids=["tmpnb", "tmpnb-agent"])
def test_what_the_help_says_of_a_command_is_what_that_says_of_itself(group: click.Group) -> None:
    assert isinstance(group, LazyGroup)
    for name, listed in group.commands.items():
        assert isinstance(listed, Later)
        command = listed.load()
        assert command.name == name
        assert listed.short_help
        assert (command.help or "").startswith(listed.short_help.removesuffix(".")), name
