"""Each room imports only from floors below its own: the layout of the design, held by reading the import statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMON_LINES = 1800

FLOORS = {
    "tmpnb_common": [
        [
            "bounded_reading",
            "durable",
            "openapi",
            "fetch_metadata",
            "file_lock",
            "host",
            "keys",
            "landing",
            "lazy_group",
            "log_lines",
            "paths",
            "processes",
            "secret_files",
            "templates",
            "version",
        ],
        ["bounded_http"],
        ["bounded_session"],
        ["json_object"],
        ["wire", "claims", "settings"],
    ],
    "node_agent": [
        ["errors"],
        ["sandboxes", "directories", "files", "unix_http", "logs"],
        ["membership", "assets", "content", "jupyter", "pages"],
        ["runtimes"],
        ["pools"],
        ["settings"],
        ["lifecycle"],
        ["web", "proxy"],
        ["parts"],
        ["compose"],
        ["server"],
        ["cli"],
    ],
    "redirector": [
        ["errors", "logs"],
        ["model"],
        ["store", "node_client", "counters", "settings"],
        ["memory", "admin_api"],
        ["placing", "operations", "plans"],
        ["loops"],
        ["web", "worker", "streams"],
        ["gunicorn_worker"],
        ["socket_holder", "compose"],
        ["server"],
        ["local_fleet"],
        ["cli"],
    ],
}
"""From the bottom up. What stands in one line does not know each other; a room counts as one."""

ROOMS = {
    "node_agent.runtimes": [["contract"], ["docker", "process"]],
    "node_agent.proxy": [["nginx"]],
    "redirector.web": [
        ["bodies", "pages"],
        ["failures"],
        ["visitors", "admin"],
        ["dashboard"],
        ["openapi"],
    ],
    "redirector.cli": [["terminal"], ["fleet"], ["node"]],
}
"""The floors inside rooms that have rooms of their own."""

ONLY_IN = {
    "flask": {"redirector.web", "redirector.gunicorn_worker", "node_agent.web", "node_agent.compose"},
    "click": {"redirector.cli", "node_agent.cli", "tmpnb_common.lazy_group"},
    "rich": {"redirector.cli"},
    "prometheus_client": {
        "redirector.counters",
        "redirector.node_client.node_metrics",
        "node_agent.web.metrics",
        "node_agent.pools.counters",
    },
    "docker": {"node_agent.runtimes.docker.connection"},
    "websocket": {"node_agent.jupyter.kernel_session"},
    "obstore": {"redirector.worker.object_store"},
    "starlette": {"redirector.streams"},
    "uvicorn": {"redirector.streams"},
    "httpx": {"redirector.streams"},
    "sqlalchemy": {"redirector.store"},
    "alembic": {"redirector.store"},
    "requests": {"redirector.admin_api.calls", "tmpnb_common.bounded_session"},
    "urllib3": {
        "redirector.node_client.http",
        "redirector.admin_api.calls",
        "redirector.worker.downloads",
        "node_agent.membership.joining",
        "node_agent.runtimes.docker.connection",
        "tmpnb_common.bounded_http",
        "tmpnb_common.bounded_session",
    },
}
"""The rooms and modules that may import a library."""


def name_of(path: Path) -> str:
    """The dotted name of a module; a package's own is that of its folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for package in FLOORS for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def imported(name: str) -> tuple[tuple[int, str], ...]:
    """What a module imports, with the line: our own modules by their whole names, others as they are written."""
    return tuple(_imported(MODULES[name]))


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) + "." if node.level else ""
            stem = base + (node.module or "")
            for alias in node.names:
                inner = f"{stem}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else stem


def below(name: str, room: str) -> str:
    """The first name of a module below a room; empty if it is not in there."""
    return name.removeprefix(f"{room}.").split(".")[0] if name.startswith(f"{room}.") else ""


@pytest.mark.parametrize("room", [*FLOORS, *ROOMS])
def test_a_room_imports_only_from_the_floors_below_it(room: str) -> None:
    floors = (FLOORS | ROOMS)[room]
    rank = {unit: position for position, line in enumerate(floors) for unit in line}
    for name in MODULES:
        own = below(name, room)
        if not own or (own not in rank and room in ROOMS):
            continue
        assert own in rank, f"{room}.{own} has no place on the floors"
        for line, other in imported(name):
            target = below(other, room)
            if target in rank and target != own:
                assert rank[target] < rank[own], f"{name} line {line}: {own} may not import {target}"


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: {other for _, other in imported(name) if other in MODULES and other != name} for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("package", "others"),
    [
        ("node_agent", {"redirector"}),
        ("redirector", {"node_agent"}),
        ("tmpnb_common", {"redirector", "node_agent"}),
    ],
)
def test_neither_program_imports_the_other_and_the_common_ground_imports_none(package: str, others: set[str]) -> None:
    for name in MODULES:
        if name.split(".")[0] == package:
            foreign = [(line, other) for line, other in imported(name) if other.split(".")[0] in others]
            assert not foreign, (name, foreign)


def test_the_common_ground_stays_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for name, path in MODULES.items() if name.startswith("tmpnb_common"))
    assert lines < COMMON_LINES


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_in_its_rooms(library: str) -> None:
    for name in MODULES:
        if not any(name == room or name.startswith(f"{room}.") for room in ONLY_IN[library]):
            assert library not in {other.split(".")[0] for _, other in imported(name)}, name


def test_only_settings_and_commands_read_the_environment() -> None:
    for name, path in MODULES.items():
        # The launcher runs inside a sandbox: its environment is not the agent's.
        if {"settings", "cli", "lab_launcher"} & set(name.split(".")):
            continue
        text = path.read_text()
        assert "os.environ" not in text, path
        assert "getenv" not in text, path


def test_no_import_hides_inside_a_function() -> None:
    for path in MODULES.values():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                hidden = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
                assert not hidden, f"{path} line {hidden[0].lineno if hidden else 0}"


@pytest.mark.parametrize("library", ["time", "datetime", "threading", "socket", "http", "concurrent", "itsdangerous"])
def test_what_is_known_of_the_fleet_needs_no_clock_thread_or_client(library: str) -> None:
    """So that a simulation can run `redirector.model` with a time of its own."""
    for name in MODULES:
        if name.startswith("redirector.model"):
            assert library not in {other.split(".")[0] for _, other in imported(name)}, name


def test_a_class_name_means_one_thing() -> None:
    """No two public classes of the distribution share a name."""
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert not {name: modules for name, modules in places.items() if len(modules) > 1}


MOST_LINES = 250
"""A module that is longer has become two things, unless there is a reason."""

LONGER = {
    "node_agent.settings.table": "a row for each setting, in the order of docs/settings.md",
    "redirector.settings.table": "a row for each setting, in the order of docs/settings.md",
    "node_agent.pools.table": "one lock around one table, and what may be done to it under the lock, a few lines each",
    "redirector.errors": "every error with its code and its sentence, in one list",
}


def test_no_module_is_longer_than_a_reader_takes_in_but_for_a_reason() -> None:
    longer = {name for name, path in MODULES.items() if len(path.read_text().splitlines()) > MOST_LINES}
    assert longer == set(LONGER)
