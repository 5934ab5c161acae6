"""One stream's text, with a redirector that answers by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from redirector.streams import launch as launching
from redirector.streams.entry_client import LaunchStep, UnansweredError
from redirector.streams.launch import LaunchStream, with_heartbeats
from redirector.streams.queue_news import SILENT_ROUNDS, QueueNews

TICKET = "t" * 30


def raw(phase: str, message: str = "m\n", **fields: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"phase": phase, "message": message, **fields}))


class Script:
    """Answers each question with the next step, and the last one for ever; an error is raised."""

    def __init__(self, *steps: LaunchStep | UnansweredError, places: Sequence[Mapping[str, msgspec.Raw]] = ()) -> None:
        self._steps = list(steps)
        self._places = list(places)
        self.asked: list[str] = []
        self.asked_for: list[list[str]] = []

    async def launch(self, spec: str, identity: str, headers: Mapping[str, str]) -> LaunchStep:
        assert (spec, headers) == ("gh/org/repo/HEAD", {})
        self.asked.append(identity)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, UnansweredError):
            raise step
        return step

    async def places(self, tickets: Sequence[str]) -> Mapping[str, msgspec.Raw]:
        self.asked_for.append(list(tickets))
        return self._places.pop(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(launching, "FIRST_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("redirector.streams.queue_news.ASK_SECONDS", 0.01)


def heard(script: Script, identity: str = "", ticks: float = 0.0) -> list[str]:
    """All of the stream's text. `ticks` is how far its clock goes on whenever it is read."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += ticks
        return now

    async def listen() -> list[str]:
        news = QueueNews(script)
        asker = asyncio.create_task(news.run())
        stream = LaunchStream("gh/org/repo/HEAD", identity, {})
        try:
            return [text async for text in stream.events(script, news, clock)]
        finally:
            asker.cancel()

    return asyncio.run(asyncio.wait_for(listen(), 30))


def phases(texts: list[str]) -> list[str]:
    return [json.loads(text.partition("data: ")[2])["phase"] for text in texts]


def test_a_launch_is_told_phase_by_phase_with_what_keeps_it() -> None:
    script = Script(
        LaunchStep([raw("fetching")], "", 0.0),
        LaunchStep([raw("fetching")], "", 0.0),
        LaunchStep([raw("waiting", "place 2 of 2\n")], TICKET, 0.0),
        LaunchStep([raw("waiting", "place 1 of 2\n")], TICKET, 0.0),
        LaunchStep([raw("launching", "a\n")], "sealed.claim", 0.0),
        LaunchStep([raw("launching", "b\n"), raw("ready", url="http://n/user/k/")], "sealed.claim"),
    )
    texts = heard(script)
    assert phases(texts) == ["fetching", "waiting", "waiting", "launching", "ready"]
    assert script.asked == ["", "", "", TICKET, TICKET, "sealed.claim"]
    assert [text.startswith(f"id: {TICKET}\n") for text in texts] == [False, True, True, False, False]
    assert all(text.startswith("id: sealed.claim\n") for text in texts[3:])
    for text in texts:
        assert text.endswith("\n\n")
        assert text.count("data: ") == 1
        assert "event:" not in text


def test_after_it_is_ready_a_stream_stays_open_for_the_client_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    async def listen(seconds: float) -> bool:
        monkeypatch.setattr(launching, "HOLD_SECONDS", seconds)
        script = Script(LaunchStep([raw("ready")], "sealed.claim"))
        texts = LaunchStream("gh/org/repo/HEAD", "", {}).events(script, QueueNews(script))
        assert phases([await anext(texts)]) == ["ready"]
        end = asyncio.ensure_future(anext(texts, None))
        await asyncio.wait([end], timeout=0.2)
        return end.done() or not end.cancel()

    assert [asyncio.run(listen(seconds)) for seconds in (3600.0, 0.0)] == [False, True]


def test_a_client_that_comes_back_asks_with_what_it_knows() -> None:
    script = Script(LaunchStep([raw("launching"), raw("ready")], "sealed.claim"))
    assert phases(heard(script, identity="sealed.claim")) == ["launching", "ready"]
    assert script.asked == ["sealed.claim"]


def test_a_place_that_does_not_change_is_told_again_every_ten_seconds_and_nothing_else_is() -> None:
    waiting = LaunchStep([raw("waiting", "place 1 of 1\n")], TICKET, 0.0)
    fetching = LaunchStep([raw("fetching")], "", 0.0)
    done = LaunchStep([raw("ready")], TICKET)
    # The clock is read twice for each step: once by whoever asks, once for its event.
    script = Script(*[fetching] * 10, *[waiting] * 10, done)
    assert phases(heard(script, ticks=2.5)) == ["fetching", *["waiting"] * 5, "ready"]


def test_those_far_back_are_asked_for_together_until_they_come_to_the_front() -> None:
    places = [{TICKET: raw("waiting", f"place {n} of 90\n")} for n in (80, 70, 70)]
    script = Script(
        LaunchStep([raw("waiting", "place 90 of 90\n")], TICKET, 5.0, far_back=True),
        LaunchStep([raw("ready")], TICKET),
        places=[*places, {}],
    )
    texts = heard(script)
    assert phases(texts) == ["waiting", "waiting", "waiting", "ready"]
    assert all(text.startswith(f"id: {TICKET}\n") for text in texts)
    assert script.asked == ["", TICKET]
    assert script.asked_for == [[TICKET]] * 4


def test_two_streams_of_one_ticket_hear_the_same_and_one_that_has_gone_is_not_asked_for() -> None:
    script = Script(places=[{TICKET: raw("waiting", f"place {n} of 9\n")} for n in range(9)])

    async def listen() -> None:
        news = QueueNews(script)
        asker = asyncio.create_task(news.run())
        gone = asyncio.create_task(news.next(TICKET))
        stays = asyncio.create_task(news.next(TICKET))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays is not None
        one, other = await asyncio.gather(news.next(TICKET), news.next(TICKET))
        assert one == other
        alone = asyncio.create_task(news.next(TICKET))
        await asyncio.sleep(0)
        alone.cancel()
        asked = len(script.asked_for)
        await asyncio.sleep(0.1)
        assert len(script.asked_for) <= asked + 1
        assert not asker.done()
        asker.cancel()

    asyncio.run(asyncio.wait_for(listen(), 30))


def test_news_that_do_not_come_are_waited_for_and_in_the_end_everyone_asks_alone() -> None:
    class Silent(Script):
        async def places(self, tickets: Sequence[str]) -> Mapping[str, msgspec.Raw]:
            self.asked_for.append(list(tickets))
            raise UnansweredError("gone")

    script = Silent(
        LaunchStep([raw("waiting", "place 90 of 90\n")], TICKET, 5.0, far_back=True),
        LaunchStep([raw("ready")], TICKET),
    )
    assert phases(heard(script)) == ["waiting", "ready"]
    assert len(script.asked_for) == SILENT_ROUNDS


def test_a_redirector_that_restarts_costs_nobody_their_place() -> None:
    script = Script(
        LaunchStep([raw("waiting")], TICKET, 0.0),
        UnansweredError("gone"),
        UnansweredError("gone"),
        LaunchStep([raw("ready")], TICKET),
    )
    assert phases(heard(script)) == ["waiting", "ready"]
    assert script.asked == ["", TICKET, TICKET, TICKET]


def test_one_that_stays_away_is_one_honest_failure() -> None:
    texts = heard(Script(UnansweredError("gone")), ticks=40.0)
    assert phases(texts) == ["failed"]
    assert json.loads(texts[0].partition("data: ")[2])["status_code"] == 503
    assert texts[0].startswith("retry: 60000\n")


def test_a_failure_is_the_end() -> None:
    script = Script(LaunchStep([raw("failed", "no\n", status_code=404)]))
    assert heard(script) == [
        f"retry: 60000\ndata: {bytes(raw('failed', 'no' + chr(10), status_code=404)).decode()}\n\n"
    ]


def beaten(source: AsyncGenerator[str], stop_after: float | None = None) -> list[str]:
    async def listen() -> list[str]:
        stop = asyncio.Event()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.set)
        return [text async for text in with_heartbeats(source, stop, 0.02)]

    return asyncio.run(asyncio.wait_for(listen(), 30))


def test_a_silent_stream_beats_and_loses_nothing() -> None:
    async def slow() -> AsyncGenerator[str]:
        yield "a"
        await asyncio.sleep(0.2)
        yield "b"

    texts = beaten(slow())
    assert [text for text in texts if not text.startswith(":")] == ["a", "b"]
    assert texts[0] == "a"
    assert texts[-1] == "b"
    beats = texts[1:-1]
    assert beats
    assert set(beats) == {": still here\n\n"}


def test_what_is_on_its_way_when_the_process_is_told_to_end_is_still_said() -> None:
    async def answered() -> AsyncGenerator[str]:
        await asyncio.sleep(0.1)
        yield "launching"
        yield "ready"
        await asyncio.sleep(3600)

    texts = beaten(answered(), stop_after=0.05)
    assert [text for text in texts if not text.startswith(":")] == ["launching", "ready"]


def test_a_process_that_is_told_to_end_ends_its_streams() -> None:
    ended = []

    async def endless() -> AsyncGenerator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    assert beaten(endless(), stop_after=0.05)[0] == "a"
    assert ended == [True]
