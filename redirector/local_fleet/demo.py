"""A content for a newcomer's first minute: a notebook from this package that draws something."""

from __future__ import annotations

from pathlib import Path

from redirector.admin_api.client import AdminClient
from redirector.admin_api.content_views import ContentView
from redirector.admin_api.errors import AdminError
from redirector.local_fleet.reporter import Reporter

NAME = "demo"
SOURCE = f"dir:{Path(__file__).with_name('demo_content')}"
PAGE = "Waves.ipynb"
REASON = "added by tmpnb up"


def add(client: AdminClient, reporter: Reporter) -> str:
    """Name the demo in a fleet, and return its link; empty where that cannot be done. The fleet serves all the same."""
    try:
        return _added(client).url
    except AdminError as problem:
        reporter.warn(f"the demo is not there: {problem}")
        return ""


def _added(client: AdminClient) -> ContentView:
    there = next((each for each in client.contents().contents if each.name == NAME), None)
    if there is not None and there.source != SOURCE and there.reason == REASON:
        # Of a former run whose package lay elsewhere.
        client.remove_content(NAME, reason=REASON)
        there = None
    return there or client.add_content(NAME, SOURCE, page=PAGE, reason=REASON).content
