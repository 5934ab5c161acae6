"""The operator's page knows every command, exit code and metric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from redirector.cli import main
from redirector.cli.terminal.exits import Exit
from redirector.counters.prometheus import FleetSample, exposition
from redirector.node_client.node_metrics import exposition as node_metrics
from tests.support.fleet_values import a_node, board, seen
from tmpnb_common.lazy_group import Later

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operator.md").read_text()
ELSEWHERE = ("up", "serve")
"""Their pages are those of getting started and of operations."""


def commands(group: click.Group, prefix: str) -> Iterator[str]:
    for name, listed in group.commands.items():
        command = listed.load() if isinstance(listed, Later) else listed
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        elif name not in ELSEWHERE:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("command", sorted(commands(main, "tmpnb")))
def test_every_command_is_on_the_page(command: str) -> None:
    assert f"`{command}`" in PAGE


@pytest.mark.parametrize("code", [int(code) for code in Exit])
def test_every_exit_code_is_explained(code: int) -> None:
    assert re.search(rf"^\| {code} \|", PAGE, re.MULTILINE)


def test_every_metric_is_explained() -> None:
    sample = FleetSample(2.0, {"n1": a_node()}, board(n1=seen()), {"placed": 1}, {}, database_up=True, version="1")
    text = exposition(sample).decode() + node_metrics({}).decode()
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) > 15
    missing = [name for name in families if f"`{name}`" not in PAGE]
    assert not missing


def test_every_screenshot_is_there_and_small() -> None:
    shown = re.findall(r"\((screenshots/[a-z-]+\.png)\)", PAGE)
    assert len(shown) >= 3
    for name in shown:
        assert (ROOT / "docs" / name).stat().st_size < 150_000
