"""A class behind one address, over all workers of a real redirector."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.live_entry import live_entry
from tests.support.waiting import wait_until

CLASS = {"X-Forwarded-For": "203.0.113.9", "Accept": "application/json"}


def test_a_class_gets_exactly_what_is_promised_over_all_workers_and_however_it_connects() -> None:
    with live_entry(TMPNB_WORKERS="4", TMPNB_TRUSTED_PROXIES="1", TMPNB_CLIENT_PER_MINUTE="1") as entry:
        entry.add("n1", capacity=300, ready=300)
        kept = requests.Session()

        def over_one_connection(_pupil: int) -> str:
            kept.cookies.clear()
            return outcome(kept.get(f"{entry.url}/", headers=CLASS, allow_redirects=False, timeout=20))

        def over_its_own(_pupil: int) -> str:
            return outcome(requests.get(f"{entry.url}/", headers=CLASS, allow_redirects=False, timeout=20))

        # Until every worker has read of the node; this host's own visitors are not counted.
        wait_until(
            lambda: (
                {requests.get(entry.url, allow_redirects=False, timeout=20).status_code for _ in range(40)} == {302}
            ),
            20,
            "all workers",
        )
        outcomes = Counter(map(over_one_connection, range(40)))
        with ThreadPoolExecutor(8) as pupils:
            outcomes += Counter(pupils.map(over_its_own, range(65)))
    assert outcomes == {"302": 100, "202 held": 5}


def outcome(answer: requests.Response) -> str:
    return "302" if answer.status_code == 302 else f"{answer.status_code} {answer.json().get('mood')}"
