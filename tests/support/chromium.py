"""A real Chromium with a profile of its own, and what its pages loaded."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, FrameLocator, Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")

ARGUMENTS = (
    # Root, as in containers, may not use the sandbox that needs its own user namespaces.
    "--no-sandbox",
    "--disable-dev-shm-usage",
)

THIRD_PARTY_STORAGE = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
"""Preferences that allow what Chromium blocks by default."""

NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}
"""Preferences of somebody who refuses all of them."""

LAB_SECONDS = 60.0
MILLISECONDS = 1000


@contextmanager
def chromium(
    *,
    block_third_parties: bool = True,
    cookies: bool = True,
    dark: bool = False,
    hosts: str = "",
    **options: Any,
) -> Iterator[BrowserContext]:
    """A browser without a history; `hosts` maps names to addresses as `--host-resolver-rules` does."""
    assert PROGRAM is not None, "Chromium is not installed"
    profile = Path(tempfile.mkdtemp(prefix="tmpnb-chromium-"))
    preferences = ({} if block_third_parties else THIRD_PARTY_STORAGE) | ({} if cookies else NO_COOKIES)
    if preferences:
        (profile / "Default").mkdir()
        (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    arguments = [*ARGUMENTS, *([f"--host-resolver-rules={hosts}"] if hosts else [])]
    # A test that ran out of time inside a call of Playwright's leaves its loop behind, marked as running, and every
    # later browser of this process would be refused.
    asyncio._set_running_loop(None)
    try:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=PROGRAM,
                args=arguments,
                color_scheme="dark" if dark else "light",
                **options,
            )
            try:
                yield context
            finally:
                context.close()
    finally:
        shutil.rmtree(profile, ignore_errors=True)


@dataclass
class Traffic:
    """What a page's loading cost, as it came over the wire."""

    page: Page
    bytes: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    """Bytes by address."""

    def __post_init__(self) -> None:
        addresses: dict[str, str] = {}
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")

        def started(event: dict[str, Any]) -> None:
            addresses[event["requestId"]] = event["request"]["url"]

        def finished(event: dict[str, Any]) -> None:
            address = addresses.get(event["requestId"], "")
            size = int(event["encodedDataLength"])
            self.bytes += size
            self.requests[address] = self.requests.get(address, 0) + size

        session.on("Network.requestWillBeSent", started)
        session.on("Network.loadingFinished", finished)


def run_first_cell(lab: Page | FrameLocator) -> str:
    """In the JupyterLab of this page or frame: wait for Welcome.ipynb, run its code cell, return what that gave."""
    cell = lab.locator(".jp-Notebook .jp-CodeCell").first
    # What is run before there is a kernel is sometimes not run at all.
    lab.get_by_text(re.compile(r"[|] Idle$")).first.wait_for(timeout=LAB_SECONDS * MILLISECONDS)
    cell.locator(".cm-content").click(timeout=LAB_SECONDS * MILLISECONDS)
    cell.locator(".cm-content").press("Shift+Enter")
    output = cell.locator(".jp-OutputArea-output").first
    output.wait_for(timeout=LAB_SECONDS * MILLISECONDS)
    return output.inner_text().strip()
