"""What every runtime has to do: the same tests over all of them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from node_agent.runtimes.contract import Launch, Runtime
from node_agent.runtimes.process.runtime import ProcessRuntime
from node_agent.unix_http import listens, request
from tests.support.docker_host import docker_host, local_engine, sandbox_image
from tests.support.node_fakes import FakeEngine, FakeRuntime
from tests.support.waiting import wait_until
from tmpnb_common.keys import ALPHABET, base_path, name_of, new_key

STUB = Path(__file__).parents[1] / "support" / "stub_server.py"
DEADLINE = 30.0


@dataclass(frozen=True)
class Host:
    """One host with a runtime; `restarted` is what a new agent on the same host would use."""

    ready: Path
    runtime: Runtime
    restarted: Callable[[], Runtime]
    image: str = "an-image"
    command: str = "{server} {socket} {base_path}"

    def launch(self) -> Launch:
        key = new_key(lambda letters: letters[os.urandom(1)[0] % len(ALPHABET)])
        directory = self.ready / key
        directory.mkdir()
        directory.chmod(0o777)
        return Launch(name_of(key), key, "default", self.image, directory, self.command, "/lab")

    def start(self) -> Launch:
        launch = self.launch()
        self.runtime.start(launch)
        wait_until(lambda: listens(launch.directory / "jupyter.sock"), DEADLINE, "the sandbox's socket")
        return launch


def fake_host(root: Path) -> Iterator[Host]:
    engine = FakeEngine(time.time)
    yield Host(root / "ready", FakeRuntime(engine), lambda: FakeRuntime(engine))
    engine.stop()


def process_host(root: Path) -> Iterator[Host]:
    def make() -> Runtime:
        return ProcessRuntime(
            root / "state",
            welcome={"default": {"Welcome.ipynb": "{}"}},
            environment={"PATH": os.environ["PATH"]},
            clock=time.time,
            server=[sys.executable, str(STUB)],
        )

    runtime = make()
    yield Host(root / "ready", runtime, make)
    for instance in runtime.instances():
        runtime.end(instance.name)


def on_docker(root: Path) -> Iterator[Host]:
    with local_engine() as engine, docker_host(engine, sandbox_image(), run_dir=root) as docker:
        yield Host(root / "ready", docker.runtime, docker.restarted, docker.image, docker.template)


HOSTS = {"fake": fake_host, "process": process_host, "docker": on_docker}


@pytest.fixture(params=["fake", "process", pytest.param("docker", marks=pytest.mark.docker)])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    # Short: socket paths end at 107 bytes, and pytest's own directories are long.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        (Path(root) / "ready").mkdir()
        yield from HOSTS[request.param](Path(root))


def names(runtime: Runtime) -> list[str]:
    return [instance.name for instance in runtime.instances()]


def test_a_started_sandbox_is_listed_with_what_it_was_started_with(host: Host) -> None:
    before = time.time()
    launch = host.start()
    [instance] = host.runtime.instances()
    assert (instance.name, instance.pool, instance.image) == (launch.name, "default", host.image)
    assert instance.alive
    assert before - 1 <= instance.created_at <= time.time()


def test_a_sandbox_answers_at_its_socket_under_its_base_path(host: Host) -> None:
    launch = host.start()
    answer = request(launch.directory / "jupyter.sock", "GET", f"{base_path(launch.key)}lab", within=5)
    assert answer.status == 200


def test_a_sandbox_answers_on_after_its_directory_was_renamed(host: Host) -> None:
    launch = host.start()
    moved = host.ready / "moved"
    launch.directory.rename(moved)
    assert request(moved / "jupyter.sock", "GET", f"{base_path(launch.key)}lab", within=5).status == 200


def test_the_next_agent_finds_what_the_last_one_started_and_can_end_it(host: Host) -> None:
    launch = host.start()
    successor = host.restarted()
    [instance] = successor.instances()
    assert (instance.name, instance.alive) == (launch.name, True)
    successor.end(launch.name)
    assert names(successor) == []
    assert not listens(launch.directory / "jupyter.sock")


def test_an_ended_sandbox_is_gone_and_the_others_are_not(host: Host) -> None:
    first, second = host.start(), host.start()
    host.runtime.end(first.name)
    assert names(host.runtime) == [second.name]
    assert not listens(first.directory / "jupyter.sock")
    assert listens(second.directory / "jupyter.sock")


def test_ending_what_is_gone_already_is_a_success(host: Host) -> None:
    launch = host.start()
    host.runtime.end(launch.name)
    host.runtime.end(launch.name)
    host.runtime.end("neverwas")


def test_two_who_end_the_same_sandbox_at_once_both_succeed(host: Host) -> None:
    launch = host.start()
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda runtime: runtime.end(launch.name), [host.runtime, host.restarted()]))
    assert names(host.runtime) == []


def test_a_sandbox_uses_some_memory_and_one_that_is_gone_none(host: Host) -> None:
    launch = host.start()
    assert 1 << 20 < host.runtime.usage(launch.name).memory < 1 << 30
    host.runtime.end(launch.name)
    assert host.runtime.usage(launch.name).memory == 0
    assert host.runtime.usage("neverwas").memory == 0


def test_there_are_no_last_words_of_a_sandbox_that_never_was(host: Host) -> None:
    assert host.runtime.log_tail("neverwas") == ""


def test_a_new_host_has_no_sandboxes(host: Host) -> None:
    assert host.runtime.instances() == []
    host.runtime.check()
    assert host.runtime.instances() == []
