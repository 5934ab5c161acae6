"""The documentation speaks of what is there: files, sections, settings, commands and calls."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from node_agent import cli as agent_cli
from node_agent import compose as node_wsgi
from node_agent import parts
from node_agent.settings import table as node_config
from redirector import cli as redirector_cli
from redirector import compose as redirector_wsgi
from redirector.settings import table as redirector_config
from scripts import settings_reference
from tmpnb_common.lazy_group import Later

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
COMMAND = re.compile(r"(?<![\w/-])(tmpnb(?:-agent)?)((?: [a-z][a-z-]*){1,2})")
API = re.compile(r"/(?:api|stats|healthz|metrics|hosts)(?:/|$)")


def anchors(page: Path) -> set[str]:
    """Of every heading, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_s_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_setting_that_does_not_exist(page: Path) -> None:
    known = {row.variable for row in redirector_config.TABLE} | {row.variable for row in node_config.TABLE}
    # What the compose files read, and operators' `tmpnb`.
    known |= set(re.findall(r"\$\{(TMPNB_[A-Z_]+)", "".join(p.read_text() for p in (ROOT / "deploy").glob("*/*.yml"))))
    known |= set(re.findall(r"TMPNB_[A-Z_]+", settings_reference.OPERATORS))

    named = set(re.findall(r"TMPNB_[A-Z_]+[A-Z]", page.read_text()))
    # A pool's own settings are named after it.
    assert {re.sub("_POOL_[A-Z]+_", "_", name) for name in named} <= known


def test_the_changelog_says_nothing_twice() -> None:
    """Two branches that changed one entry leave both versions, or halves of them."""
    beginnings = [line[:40] for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if len(line) > 40]
    assert {each for each in beginnings if beginnings.count(each) > 1} == set()


@pytest.mark.parametrize("notebook", ["node_agent/jupyter/welcome", "deploy/notebook/home"])
def test_a_welcome_notebook_offers_what_the_label_in_its_page_does(notebook: str) -> None:
    cells = json.loads((ROOT / notebook / "Welcome.ipynb").read_text())["cells"]
    text = " ".join("".join(line for cell in cells for line in cell["source"]).split())
    actions = (ROOT / "node_agent/pages/sandbox/actions.js").read_text()
    for words in ("Save this notebook to your computer", "Download everything"):
        assert f'"{words}"' in actions
        assert f"*{words}*" in text


def words_of(group: click.Command, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield (*prefix, name)
            yield from words_of(command.load() if isinstance(command, Later) else command, (*prefix, name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_command_that_does_not_exist(page: Path) -> None:
    known = {("tmpnb", *words) for words in words_of(redirector_cli.main)}
    known |= {("tmpnb-agent", *words) for words in words_of(agent_cli.agent)}
    groups = {words[:2] for words in known if len(words) == 3}
    text = page.read_text()
    # `systemctl` names units.
    text = re.sub(r"systemctl [^&\n]*", "", text)
    code = "\n".join(re.findall(r"`([^`\n]+)`", text) + re.findall(r"```sh.*?\n(.*?)```", text, re.DOTALL))

    for program, rest in COMMAND.findall(code):
        words = (program, *rest.split())
        expected = words[:3] if words[:2] in groups else words[:2]
        assert expected in known, " ".join(words)


def redirector_paths(tmp_path: Path) -> set[str]:
    worker = redirector_wsgi.compose(redirector_config.load({"TMPNB_STATE": str(tmp_path)}))
    try:
        return {rule.rule for rule in worker.app.url_map.iter_rules()}
    finally:
        worker.stop()


def node_paths(tmp_path: Path) -> set[str]:
    directories = {"TMPNB_NODE_RUN_DIR": str(tmp_path / "run"), "TMPNB_NODE_STATE_DIR": str(tmp_path / "state")}
    (tmp_path / "run").mkdir()
    settings = node_config.load({"TMPNB_NODE_RUNTIME": "process", **directories})
    runtime = parts.make_runtime(settings, {})
    return {rule.rule for rule in node_wsgi.compose(settings, runtime).app.url_map.iter_rules()}


@pytest.mark.parametrize("paths", [redirector_paths, node_paths], ids=["redirector", "node"])
def test_every_call_that_is_served_is_in_the_http_api_page(paths: Callable[[Path], set[str]]) -> None:
    page = re.sub(r"<\w+>", "<>", (ROOT / "docs" / "http-api.md").read_text())
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        served = {re.sub(r"<[^>]+>", "<>", path).rstrip("/") for path in paths(Path(short))}

    # Verbs on one thing are written once with all of them: `/api/nodes/<name>/drain`, `…/resume`.
    calls = {path for path in served if API.match(path)}
    assert {path for path in calls if path not in page and f"…/{path.split('/')[-1]}" not in page} == set()
