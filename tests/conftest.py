"""How tests share a machine: several run at a time, but never two that want the same engine, or two browsers."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# An example may take long on a busy machine; what bounds a test is pytest's time-out.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

GROUPS = ("docker", "e2e")
"""Tests that bear one of these marks run one after the other, with the others of their kind, as those in a browser do.
All others stay with those of their file, which share its fixtures."""

BROWSER = "tests/browser/"

STARTERS = frozenset(
    f"tests.support.{name}"
    for name in ("live_entry", "live_fleet", "live_node", "node_nginx", "postgres", "redirector_front", "served")
)
"""Modules that start programs. Tests in whose module a name of theirs stands are marked `live`."""


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    names = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    if not STARTERS.isdisjoint(getattr(value, "__module__", None) or "" for value in names):
        item.add_marker(pytest.mark.live)


# Before pytest-xdist's own, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marks = (mark for mark in GROUPS if item.get_closest_marker(mark))
        kind = "browser" if item.nodeid.startswith(BROWSER) else next(marks, item.nodeid.partition("::")[0])
        item.add_marker(pytest.mark.xdist_group(kind))


@pytest.fixture(scope="session", autouse=True)
def _heed_ctrl_c() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and programs hand that on to theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
