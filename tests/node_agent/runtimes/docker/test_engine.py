"""The edge to the engine's SDK, against a small engine that misbehaves as told."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.preflight import check_directory, sweep
from tests.support.node_fakes import Request, UnixServer

KEY = "abcdefgh" + "z" * 26


class SmallEngine:
    """Answers the SDK's first question, and all others by `respond`; counts them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.respond: Callable[[Request], None] = lambda request: request.answer_json([])

    def __call__(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path.endswith("/version"):
            request.answer_json({"ApiVersion": "1.44"})
            return
        self.asked.append(f"{request.command} {path.removeprefix('/v1.44')}")
        self.respond(request)

    def hang_up_once(self, request: Request) -> None:
        self.respond = lambda request: request.answer_json([])
        request.close_connection = True


def refuse(status: int, message: str) -> Callable[[Request], None]:
    return lambda request: request.answer(
        status, json.dumps({"message": message}).encode(), [("Content-Type", "application/json")]
    )


@pytest.fixture
def small() -> SmallEngine:
    return SmallEngine()


@pytest.fixture
def engine(small: SmallEngine) -> Iterator[DockerEngine]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as directory:
        server = UnixServer(Path(directory) / "docker.sock", small)
        engine = DockerEngine(Path(directory) / "docker.sock")
        yield engine
        engine.close()
        server.stop()


def test_a_question_that_was_cut_off_is_asked_again_once(engine: DockerEngine, small: SmallEngine) -> None:
    small.respond = small.hang_up_once
    assert engine.containers(["tmpnb.node=n"]) == []
    assert small.asked == ["GET /containers/json"] * 2


def test_an_order_that_was_cut_off_is_not_given_again(engine: DockerEngine, small: SmallEngine) -> None:
    small.respond = small.hang_up_once
    with pytest.raises(
        EngineError, match=r"^cannot create a container: the engine does not answer \(ConnectionError\)$"
    ):
        engine.create({"Image": "i"})
    assert small.asked == ["POST /containers/create"]


def test_the_engine_s_own_words_are_the_reason_without_any_key(engine: DockerEngine, small: SmallEngine) -> None:
    small.respond = refuse(500, f"mount /run/tmpnb/ready/{KEY}: no space left on device")
    with pytest.raises(EngineError) as failed:
        engine.start("c")
    assert str(failed.value) == (
        "cannot start a container: mount /run/tmpnb/ready/abcdefgh[key]: no space left on device"
    )


def test_what_is_gone_already_is_a_success(engine: DockerEngine, small: SmallEngine) -> None:
    small.respond = refuse(404, "No such container: c")
    engine.remove("c")
    assert engine.state("c") is None
    assert engine.image("i") is None
    assert engine.network("n") is None
    assert engine.log_tail("c", 5) == b""
    assert engine.file("c", "/etc/passwd") is None


def test_a_removal_that_is_under_way_is_a_success(engine: DockerEngine, small: SmallEngine) -> None:
    small.respond = refuse(409, "removal of container c is already in progress")
    engine.remove("c")
    small.respond = refuse(500, "driver failed to remove root filesystem")
    with pytest.raises(EngineError, match="driver failed to remove root filesystem"):
        engine.remove("c")


def test_an_engine_that_came_back_is_asked_for_its_version_again(engine: DockerEngine, small: SmallEngine) -> None:
    engine.ping()
    small.respond = small.hang_up_once
    with pytest.raises(EngineError):
        engine.ping()
    engine.ping()
    assert len(small.asked) == 3


def test_a_pull_that_breaks_off_is_an_error(engine: DockerEngine, small: SmallEngine) -> None:
    def break_off(request: Request) -> None:
        request.send_response_only(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b'{"status": "Pulling"}\n')
        request.close_connection = True

    small.respond = break_off
    with pytest.raises(EngineError, match="the engine broke off"):
        list(engine.pull("big"))


def test_an_engine_elsewhere_that_does_not_have_the_run_directory_is_recognised(
    engine: DockerEngine, small: SmallEngine, tmp_path: Path
) -> None:
    def elsewhere(request: Request) -> None:
        if request.command == "POST":
            refuse(400, "invalid mount config: bind source path does not exist: /run/tmpnb/probe-1")(request)
        else:
            request.answer_json([])

    small.respond = elsewhere
    with pytest.raises(EngineError, match="the engine runs on another machine or inside a virtual one"):
        check_directory(engine, tmp_path, image="i", owner="n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "words"), [(0, "another machine or inside a virtual one"), (1, "SELinux")])
def test_a_container_whose_writing_is_not_seen_here_is_told_from_one_that_cannot_write(
    engine: DockerEngine, small: SmallEngine, tmp_path: Path, code: int, words: str
) -> None:
    def respond(request: Request) -> None:
        path = request.path.partition("?")[0]
        if path.endswith("/wait"):
            request.answer_json({"StatusCode": code})
        else:
            request.answer_json({"Id": "c"})

    small.respond = respond
    with pytest.raises(EngineError, match=words):
        check_directory(engine, tmp_path, image="i", owner="n")
    assert small.asked[-1] == "DELETE /containers/c"


def test_what_a_killed_agent_left_of_its_tries_is_removed_and_what_is_in_use_is_not(
    engine: DockerEngine, small: SmallEngine
) -> None:
    small.respond = lambda request: request.answer_json([{"Id": "old", "Created": 100}, {"Id": "new", "Created": 900}])
    sweep(engine, owner="n", now=1000.0)
    assert small.asked == ["GET /containers/json", "DELETE /containers/old"]


def test_a_run_directory_that_is_not_there_is_told(engine: DockerEngine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the run directory cannot be used: No such file or directory"):
        check_directory(engine, tmp_path / "none", image="i", owner="n")
