"""Event streams of a real redirector, gunicorn and all: launches, waits, limits, and faults in each phase."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from tests.support.event_streams import EVENT_SOURCE, PAGE, Heard, opened
from tests.support.streams_entry import DIGEST, SPEC, StreamsEntry, streams_entry
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def running() -> Iterator[StreamsEntry]:
    with streams_entry(TMPNB_CLIENT_BURST="40", TMPNB_STREAMS_PER_CLIENT="15", TMPNB_STREAMS="60") as streams:
        streams.add("n1", blobs={DIGEST}, capacity=100, ready=100)
        yield streams


@pytest.fixture
def streams(running: StreamsEntry) -> StreamsEntry:
    """The running one, with room."""
    running.settle(n1=100)
    return running


def launch(streams: StreamsEntry, identity: str = "", address: str = "127.0.0.1") -> list[Heard]:
    """A launch until it is ready."""
    headers = {**EVENT_SOURCE, "X-Forwarded-For": address}
    with opened(streams.url, {**headers, "Last-Event-ID": identity} if identity else headers) as stream:
        return stream.until("ready")


def claims(streams: StreamsEntry) -> int:
    return len(streams.entry.known["n1"].claims)


def test_a_page_of_another_site_gets_a_sandbox(streams: StreamsEntry) -> None:
    before = claims(streams)
    with opened(streams.url) as stream:
        heard = stream.until("ready")
        headers = stream.answer.headers
    assert [event.phase for event in heard] == ["launching", "ready"]
    assert heard[-1].data["url"].endswith("/")
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Set-Cookie" not in headers
    assert "Access-Control-Allow-Credentials" not in headers
    assert claims(streams) == before + 1
    again = launch(streams, heard[-1].id)
    assert again[-1].data["url"] == heard[-1].data["url"]
    assert claims(streams) == before + 1


def test_a_prefix_before_it_is_the_proxys_business(streams: StreamsEntry) -> None:
    with opened(f"{streams.streams_url}/hub/of/ours/build/{SPEC}") as stream:
        assert stream.until("ready")[-1].data["binder_request"] == f"v2/{SPEC}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*"},
        {**EVENT_SOURCE, "Origin": "https://other.example"},
        {**EVENT_SOURCE, "Sec-Fetch-Mode": "no-cors"},
        {**EVENT_SOURCE, "Sec-Purpose": "prefetch"},
    ],
)
def test_who_may_not_launch_takes_nothing_and_may_read_why(streams: StreamsEntry, headers: dict[str, str]) -> None:
    before = claims(streams)
    with opened(streams.url, headers) as stream:
        assert [event.phase for event in stream] == ["failed"]
        assert stream.answer.headers["Access-Control-Allow-Origin"] in ("*", PAGE)
    assert requests.head(streams.url, headers=EVENT_SOURCE, timeout=10).status_code == 200
    assert requests.get(f"{streams.streams_url}/", headers=EVENT_SOURCE, timeout=10).status_code == 404
    assert claims(streams) == before


@pytest.mark.parametrize("spec", ["gh/org/other/HEAD", "gh/org/course/..%2F..", "gist/a/b", "%00", "gh/" + "x" * 4000])
def test_what_cannot_be_launched_is_one_event(streams: StreamsEntry, spec: str) -> None:
    with opened(f"{streams.streams_url}/build/{spec}") as stream:
        [event] = list(stream)
    assert event.phase == "failed"
    assert event.data["status_code"] in (400, 404)
    assert event.data["message"].endswith("\n")


def test_a_preflight_is_answered_for_what_clients_may_send(streams: StreamsEntry) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    answer = requests.options(streams.url, headers=asked, timeout=10)
    assert answer.status_code == 204
    allowed = {word.strip().lower() for word in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed == {"cache-control", "last-event-id", "authorization", "x-xsrftoken"}
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_without_room_a_client_waits_in_its_stream_and_then_is_ready(streams: StreamsEntry) -> None:
    node = streams.entry.known["n1"]
    streams.settle(n1=0)
    with opened(streams.url) as first:
        said = first.next()
        assert (said.phase, said.data["message"]) == ("waiting", "place 1 of 1\n")
        with opened(streams.url) as second:
            assert second.next().data["message"].startswith("place 2 of 2")
            # Whoever is cut off and comes back keeps their place.
            with opened(streams.url, {**EVENT_SOURCE, "Last-Event-ID": said.id}) as back:
                first.answer.close()
                assert back.next().data["message"].startswith("place 1 of")
                node.ready = 1
                assert back.until("ready")[-1].data["url"]
            node.ready = 1
            assert second.until("ready")[-1].data["url"]


def test_a_client_that_goes_away_gives_up_its_place(streams: StreamsEntry) -> None:
    streams.settle(n1=0)
    with opened(streams.url) as stream:
        assert stream.next().phase == "waiting"
        assert streams.entry.waiting() == 1
    streams.entry.empty()


def test_files_that_are_fetched_for_the_first_time_are_waited_for_in_the_stream(streams: StreamsEntry) -> None:
    streams.new_content("fresh", "gh:org/fresh")
    with opened(f"{streams.streams_url}/build/gh/org/fresh/HEAD") as stream:
        assert stream.next().phase == "fetching"
        streams.fetched("fresh", DIGEST)
        assert [event.phase for event in stream.until("ready")] == ["launching", "ready"]


def test_the_limits_of_an_address_count_over_both_ways_in(streams: StreamsEntry) -> None:
    ours = "192.0.2.77"
    for _ in range(20):
        assert streams.entry.visit("/", X_Forwarded_For=ours).status_code == 302
        launch(streams, address=ours)
    with opened(streams.url, {**EVENT_SOURCE, "X-Forwarded-For": ours}) as stream:
        assert "more sandboxes than its share" in stream.next().data["message"]
    launch(streams, address="192.0.2.78")


def test_one_client_cannot_take_all_streams_and_all_of_them_are_bounded(streams: StreamsEntry) -> None:
    streams.settle(n1=0)
    with ExitStack() as held:

        def open_one(address: str) -> Heard:
            return held.enter_context(opened(streams.url, {**EVENT_SOURCE, "X-Forwarded-For": address})).next()

        greedy = [open_one("192.0.2.1") for _ in range(17)]
        assert [event.phase for event in greedy] == ["waiting"] * 15 + ["failed"] * 2
        assert greedy[-1].data["status_code"] == 429
        others = [open_one(f"192.0.2.{number}") for number in range(2, 50)]
        assert [event.phase for event in others] == ["waiting"] * 45 + ["failed"] * 3
        # Visitors of the entry do not notice.
        assert streams.entry.visit("/", X_Forwarded_For="192.0.2.200").status_code == 200
    streams.settle(n1=100)
    launch(streams)


def test_clients_that_never_read_or_that_talk_nonsense_harm_nobody(streams: StreamsEntry) -> None:
    parts = urlsplit(streams.url)
    assert parts.hostname
    where = (parts.hostname, parts.port or 80)
    with ExitStack() as held:
        for text in (
            f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n",
            "GET /build/ HTTP/1.1\r\nHost: x\r\nX: " + "y" * 100_000,
            "\x00\xff\r\n\r\n",
            f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
            "GET",
        ):
            for _ in range(5):
                silent = held.enter_context(socket.create_connection(where, timeout=10))
                silent.sendall(text.encode("latin-1"))
        launch(streams)


def test_a_client_that_comes_back_ten_times_a_second_has_one_sandbox_or_its_share(streams: StreamsEntry) -> None:
    first = launch(streams, address="192.0.2.30")
    before = claims(streams)
    for _ in range(30):
        again = launch(streams, first[-1].id, address="192.0.2.30")
        assert again[-1].data["url"] == first[-1].data["url"]
    assert claims(streams) == before
    said = []
    for _ in range(60):
        with opened(streams.url, {**EVENT_SOURCE, "X-Forwarded-For": "192.0.2.31"}) as stream:
            said.append(stream.next().phase)
    # At once it has its 40, and beyond them one a second.
    assert set(said[:40]) == {"launching"}
    assert "waiting" in said


@pytest.mark.parametrize("phase", ["waiting", "fetching", "ready"])
def test_a_worker_that_is_killed_costs_a_launch_nothing(streams: StreamsEntry, phase: str) -> None:
    node = streams.entry.known["n1"]
    name = f"killed-{phase}"
    streams.new_content(name, f"gh:org/{name}", "" if phase == "fetching" else DIGEST)
    streams.settle(n1=0 if phase == "waiting" else 100)
    before = claims(streams)
    with opened(f"{streams.streams_url}/build/gh/org/{name}/HEAD") as stream:
        first = stream.until(phase)[-1]
        for worker in streams.workers():
            worker.kill()
        if phase == "ready":
            assert launch(streams, first.id)[-1].data["url"] == first.data["url"]
        else:
            node.ready = 1
            streams.fetched(name, DIGEST)
            stream.until("ready")
    wait_until(lambda: len(streams.workers()) == 2, 30, "new workers")
    assert claims(streams) == before + 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_process_costs_a_reconnect_and_not_the_place(streams: StreamsEntry, how: int) -> None:
    node = streams.entry.known["n1"]
    streams.settle(n1=0)
    with opened(streams.url) as stream, opened(streams.url) as later:
        first, second = stream.next(), later.next()
        assert first.data["message"].startswith("place 1")
        process = streams.streams_process()
        os.kill(process.pid, how)
        with pytest.raises((AssertionError, requests.exceptions.ChunkedEncodingError)):
            stream.until("ready")
        # The address is held meanwhile: nobody is refused.
        headers = [{**EVENT_SOURCE, "Last-Event-ID": event.id} for event in (first, second)]
        with opened(streams.url, headers[0]) as one, opened(streams.url, headers[1]) as two:
            # On a busy machine the other one's place may have lapsed until its client is back.
            assert one.next().data["message"].startswith("place 1 of ")
            assert two.next().data["message"].startswith("place 2 of ")
            node.ready = 1
            one.until("ready")
            node.ready = 1
            two.until("ready")
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert streams.streams_process().pid != process.pid


def test_a_node_that_dies_before_the_sandbox_is_told_of_is_another_node(streams: StreamsEntry) -> None:
    away = "e" * 64
    node = streams.entry.known["n1"]
    streams.settle(n1=0)
    streams.new_content("dies", "gh:org/dies", away)
    dying = streams.add("n2", capacity=5, ready=5)
    try:
        with opened(f"{streams.streams_url}/build/gh/org/dies/HEAD") as stream:
            stream.until("launching")  # its files are not there yet
            streams.entry.nodes.die(dying)
            node.blobs.add(away)
            node.ready = 1
            ready = stream.until("ready")[-1]
    finally:
        streams.entry.admin("DELETE", "/api/nodes/n2", json={"force": True})
        del streams.entry.known["n2"]
    assert ready.data["url"].startswith(node.url)


def test_a_database_that_is_held_lets_launches_through(streams: StreamsEntry) -> None:
    node = streams.entry.known["n1"]
    streams.settle(n1=0)
    database = sqlite3.connect(streams.entry.log.parent / "fleet.db", isolation_level=None)
    with opened(streams.url) as stream:
        assert stream.next().phase == "waiting"
        database.execute("BEGIN EXCLUSIVE")
        try:
            node.ready = 2
            with ThreadPoolExecutor(1) as executor:
                waiting = executor.submit(stream.until, "ready")
                time.sleep(1)
                database.execute("ROLLBACK")
                assert waiting.result(60)[-1].data["url"]
        finally:
            database.close()
