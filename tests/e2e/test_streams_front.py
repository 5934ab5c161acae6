"""Event streams behind the nginx that is shipped: launches, signs of life, and what is told while they are away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.event_streams import EVENT_SOURCE, PAGE, opened
from tests.support.redirector_front import Front, redirector_front
from tests.support.streams_entry import DIGEST, SPEC, StreamsEntry, streams_entry
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def streams() -> Iterator[StreamsEntry]:
    with streams_entry() as streams:
        streams.add("n1", blobs={DIGEST}, capacity=100, ready=100)
        yield streams


@pytest.fixture(scope="module")
def front(streams: StreamsEntry) -> Iterator[Front]:
    ports = [int(url.rpartition(":")[2]) for url in (streams.entry.url, streams.streams_url)]
    with redirector_front(*ports) as front:
        yield front


@pytest.fixture(autouse=True)
def authority(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(front.authority))


def test_a_launch_through_it_is_the_visitors_own(front: Front) -> None:
    entry = f"https://localhost:{front.port}"
    with opened(f"{entry}/build/{SPEC}", {**EVENT_SOURCE, "X-Forwarded-For": "192.0.2.1"}) as stream:
        ready = stream.until("ready")[-1].data
        assert stream.answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Strict-Transport-Security" in stream.answer.headers
    assert ready["binder_launch_host"] == f"{entry}/"
    # A page of the entry itself is no other site's.
    with opened(f"{entry}/build/{SPEC}", {**EVENT_SOURCE, "Origin": entry}) as stream:
        assert stream.until("ready")


def test_a_wait_passes_through_it_event_by_event_and_ends_with_its_client(streams: StreamsEntry, front: Front) -> None:
    node = streams.entry.known["n1"]
    streams.settle(n1=0)
    with opened(f"https://localhost:{front.port}/build/{SPEC}") as stream:
        assert stream.next().phase == "waiting"
        node.ready = 1
        stream.until("ready")
    streams.settle(n1=0)
    with opened(f"https://localhost:{front.port}/build/{SPEC}") as stream:
        assert stream.next().phase == "waiting"
    streams.settle(n1=100)


def test_while_they_are_away_there_is_one_honest_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front(tmp_path, f"unix:{tmp_path}/none.sock")
    try:
        wait_until(lambda: front.ask("GET", "/healthz") == 503, 15, "nginx")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(front.authority))
        with opened(f"https://localhost:{front.port}/build/{SPEC}") as stream:
            [event] = list(stream)
            assert stream.answer.headers["Access-Control-Allow-Origin"] == "*"
    finally:
        front.stop()
    assert (event.phase, event.data["status_code"]) == ("failed", 503)
    assert event.data["message"].endswith("\n")
