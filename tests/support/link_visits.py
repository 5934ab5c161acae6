"""People who follow links to contents, over plain HTTP: pages that wait are waited for."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from urllib.parse import urljoin

import requests

REFRESH = re.compile(r'http-equiv="refresh" content="(\d+); url=([^"]+)"')
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LONGEST_SECONDS = 120.0


@dataclass(frozen=True)
class Arrival:
    """Where a visit has led, and after how long."""

    url: str
    """Of the page inside the sandbox."""
    seconds: float
    pages: int
    """That waited, on the way."""

    @property
    def base(self) -> str:
        """The address of the sandbox, with a slash at the end."""
        return re.sub(r"(/user/[^/]+/).*", r"\1", self.url)

    def file(self, path: str) -> bytes | None:
        """A file of the sandbox's home; None: it is not there."""
        answer = requests.get(f"{self.base}files/{path}", timeout=60)
        return answer.content if answer.status_code == 200 else None


def follow(url: str) -> Arrival:
    """Follow a link as a browser does, from the click until the sandbox's page is there."""
    began, session, pages = time.monotonic(), requests.Session(), 0
    while True:
        answer = session.get(url, headers=BROWSER, allow_redirects=False, timeout=60)
        if answer.is_redirect:
            target = urljoin(url, answer.headers["Location"])
            if "/user/" in target:
                return Arrival(target, time.monotonic() - began, pages)
            url = target
            continue
        waits = REFRESH.search(answer.text)
        assert waits is not None, f"{url}: {answer.status_code}\n{answer.text}"
        assert time.monotonic() - began < LONGEST_SECONDS, answer.text
        pages += 1
        url = urljoin(url, waits[2].replace("&amp;", "&"))
        time.sleep(int(waits[1]) / 4)
