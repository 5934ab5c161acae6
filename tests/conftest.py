"""What holds for all tests: which of them start programs, and what they inherit from whoever started them."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# An example may take long on a busy machine; what bounds a test is pytest's time-out.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

STARTERS = frozenset(
    f"tests.support.{name}"
    for name in (
        "forge",
        "live_entry",
        "live_fleet",
        "live_node",
        "node_nginx",
        "postgres",
        "redirector_front",
        "served",
    )
)
"""Modules that start programs. Tests in whose module a name of theirs stands are marked `live`."""


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    names = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    if not STARTERS.isdisjoint(getattr(value, "__module__", None) or "" for value in names):
        item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session", autouse=True)
def _heed_ctrl_c() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and programs hand that on to theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
