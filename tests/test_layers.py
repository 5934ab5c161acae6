"""Each module imports only from lines above it: the layers of the design, held by reading the import statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = {
    "redirector": [
        [
            "errors",
            "admin_errors",
            "logs",
            "histograms",
            "visitors",
            "json_fields",
            "operators",
            "clients",
            "bucket_table",
            "keeping",
        ],
        ["nodes"],
        ["board"],
        ["placement", "waiting_room", "limits", "returning"],
        ["config"],
        ["slot_counts", "node_metrics", "sessions"],
        ["store"],
        ["admin_views", "admin_answers"],
        ["rotation", "rolling"],
        ["name_lookup"],
        ["bounded_http"],
        ["agent_client", "admin_client"],
        ["fleet"],
        ["keeper", "rechecks", "metrics"],
        ["poller"],
        ["web"],
        ["wsgi"],
        ["server"],
        ["local_fleet"],
        ["cli"],
    ],
    "node_agent": [
        ["landing"],
        ["wire", "log_lines", "lab_launcher", "lazy_group", "steady_clock", "bounded_reading"],
        ["errors"],
        ["sandboxes", "command", "durable", "browser_files", "docker_seccomp"],
        ["addresses", "assets", "runtime"],
        ["logs", "docker_limits", "open_files", "listeners"],
        ["culling", "planning", "removals"],
        ["trials"],
        ["setting_values"],
        ["docker_settings"],
        ["pool_settings"],
        ["config"],
        ["ledger", "intent", "identity", "announcement"],
        ["unix_http", "processes", "library"],
        ["docker_engine"],
        ["docker_images", "docker_proof", "docker_assets", "docker_home", "kernel_session"],
        ["check_server"],
        ["docker_runtime", "process_runtime", "jupyter_client", "joining", "local_client", "pages", "welcome"],
        ["nginx", "check_image"],
        ["host", "proxy"],
        ["roster", "abandoned"],
        ["tally"],
        ["pool"],
        ["starter", "pool_changes", "metrics"],
        ["selftest"],
        ["reconciler"],
        ["web"],
        ["wsgi"],
        ["cli"],
    ],
}
"""From the bottom up. Modules in one line do not know each other; a package counts as one module."""

ONLY_IN = {
    "flask": {"redirector.web", "redirector.compose", "node_agent.web", "node_agent.compose"},
    "click": {"redirector.cli", "node_agent.cli", "tmpnb_common.lazy_group"},
    "rich": {"redirector.cli"},
    "prometheus_client": {
        "redirector.node_client.node_metrics",
        "redirector.counters.prometheus",
        "node_agent.web.metrics",
    },
    "docker": {"node_agent.runtimes.docker.engine"},
    "websocket": {"node_agent.jupyter.kernel_session"},
    "sqlalchemy": {"redirector.store"},
    "alembic": {"redirector.store"},
    "requests": {"redirector.node_client.client", "redirector.admin_api.client"},
    "urllib3": {"redirector.node_client.http", "redirector.admin_api.client", "node_agent.runtimes.docker.engine"},
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def unit(package: str, path: Path) -> str:
    """The layer a file belongs to: the first name below its package."""
    return path.relative_to(ROOT / package).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) + "." if node.level else ""
            stem = base + (node.module or "")
            yield node, stem
            for alias in node.names:
                yield node, f"{stem}.{alias.name}"


ALL = [(package, path) for package in LAYERS for path in modules(package)]


@pytest.mark.parametrize(("package", "path"), ALL, ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_module_imports_only_from_the_layers_below_it(package: str, path: Path) -> None:
    rank = {name: position for position, line in enumerate(LAYERS[package]) for name in line}
    own = unit(package, path)
    if own == "__init__":
        return
    assert own in rank, f"{package}.{own} has no place in the layers"
    for node, name in imported(path):
        head, _, rest = name.partition(".")
        if head == package and rest:
            other = rest.split(".")[0]
            if other in rank and other != own:
                assert rank[other] < rank[own], f"line {node.lineno}: {package}.{own} may not import {package}.{other}"


def test_the_agent_never_imports_the_redirector() -> None:
    for path in modules("node_agent"):
        assert not [name for _, name in imported(path) if name.split(".")[0] == "redirector"], path


def test_the_redirector_imports_only_what_both_share_of_the_agent() -> None:
    shared = tuple(f"node_agent.{name}" for name in ("landing", "wire", "log_lines", "lazy_group", "bounded_reading"))
    for path in modules("redirector"):
        foreign = {name for _, name in imported(path) if name.split(".")[0] == "node_agent"}
        assert all(name == "node_agent" or name.startswith(shared) for name in foreign), (path, foreign)
        assert "node_agent" not in foreign or any(name.startswith(shared) for name in foreign), path


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_in_its_modules(library: str) -> None:
    for package, path in ALL:
        here = f"{package}.{unit(package, path)}"
        if here not in ONLY_IN[library]:
            assert library not in {name.split(".")[0] for _, name in imported(path)}, path


def test_only_config_reads_the_environment() -> None:
    for package, path in ALL:
        # The launcher runs inside a sandbox: its environment is not the agent's.
        if unit(package, path) in ("config", "cli", "lab_launcher"):
            continue
        text = path.read_text()
        assert "os.environ" not in text, path
        assert "getenv" not in text, path


def test_no_import_hides_inside_a_function() -> None:
    for _, path in ALL:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                hidden = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
                assert not hidden, f"{path} line {hidden[0].lineno if hidden else 0}"
