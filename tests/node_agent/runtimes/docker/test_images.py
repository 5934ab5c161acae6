"""Images: whom their sandboxes run as, and fetching those that are missing without anybody waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.contract import ImageState
from node_agent.runtimes.docker.container import Account
from node_agent.runtimes.docker.images import (
    AGAIN_SECONDS,
    STALLED_SECONDS,
    ImagePulls,
    Progress,
    account,
    refuse_volumes,
)
from node_agent.runtimes.docker.limits import DockerLimits, Mount
from tests.support.node_fakes import Clock
from tests.support.waiting import wait_until

PASSWD = "root:x:0:0:root:/root:/bin/bash\njovyan:x:1000:100::/home/jovyan:/bin/bash\nodd\n\nbare:x:7:7\n"
VISITOR = Account(1000, 1000, "/home/visitor")


@pytest.mark.parametrize(
    ("user", "environment", "expected"),
    [
        ("", [], VISITOR),
        ("root", [], VISITOR),
        ("0", ["HOME=/root"], VISITOR),
        ("0:0", [], VISITOR),
        ("jovyan", [], Account(1000, 100, "/home/jovyan")),
        ("jovyan", ["HOME=/srv/home"], Account(1000, 100, "/srv/home")),
        ("jovyan:50", [], Account(1000, 50, "/home/jovyan")),
        ("1000", [], Account(1000, 100, "/home/jovyan")),
        ("1000", ["HOME=/srv/home"], Account(1000, 1000, "/srv/home")),
        ("4000:50", [], Account(4000, 50, "/home/visitor")),
        ("1000", ["HOME=/"], VISITOR),
        ("bare", [], Account(7, 7, "/home/visitor")),
    ],
)
def test_a_sandbox_runs_as_the_image_s_user_unless_that_is_root(
    user: str, environment: list[str], expected: Account
) -> None:
    assert account({"User": user, "Env": environment}, DockerLimits(), lambda: PASSWD) == expected


def test_the_setting_wins_over_the_image_s_user() -> None:
    found = account({"User": "jovyan", "Env": None}, DockerLimits(user="2000:30"), lambda: PASSWD)
    assert found == Account(2000, 30, "/home/visitor")


def test_a_user_whom_nobody_knows_is_an_error() -> None:
    with pytest.raises(EngineError, match="user 'nobody-knows', who is not in its /etc/passwd"):
        account({"User": "nobody-knows"}, DockerLimits(), lambda: PASSWD)


def test_only_volumes_that_are_covered_are_accepted() -> None:
    limits = DockerLimits(mounts=(Mount("/srv/data", "/data"),))
    config: dict[str, Any] = {"Volumes": {"/home/ada": {}, "/tmp/": {}, "/data": {}}}
    refuse_volumes("i", config, limits, "/home/ada")
    with pytest.raises(EngineError, match="image i declares the volume /var/lib"):
        refuse_volumes("i", {"Volumes": {"/var/lib": {}, "/data": {}}}, limits, "/home/ada")


def downloading(layer: str, current: int, total: int) -> Mapping[str, Any]:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": total}}


def test_progress_is_told_over_all_layers() -> None:
    progress = Progress()
    assert str(progress) == "just begun"
    for event in (downloading("a", 1 << 20, 3 << 20), downloading("b", 0, 1 << 20), {"status": "Pulling from x"}):
        progress.note(event)
    assert str(progress) == "25 % of 4 MiB"
    progress.note({"status": "Download complete", "id": "a"})
    progress.note({"status": "Pull complete", "id": "unknown"})
    assert str(progress) == "75 % of 4 MiB"


class Registry:
    """A pull that goes on as far as the test lets it."""

    def __init__(self) -> None:
        self.pulls = 0
        self.events: list[Mapping[str, Any]] = []
        self.let_go = threading.Event()
        self.heard = threading.Event()
        self.refusal = ""

    def pull(self, image: str) -> Iterator[Mapping[str, Any]]:
        self.pulls += 1
        if self.refusal:
            raise EngineError(f"{self.refusal} {image}")
        yield from self.events
        self.heard.set()
        assert self.let_go.wait(10)


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.let_go.set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "pull"], 10, "the pulls' end")


def test_a_missing_image_is_pulled_once_and_its_progress_is_the_reason(registry: Registry) -> None:
    registry.events = [downloading("a", 1 << 20, 2 << 20)]
    pulls = ImagePulls(registry.pull, Clock())
    assert pulls.reason("big") == "image big is being pulled: just begun"
    assert registry.heard.wait(10)
    assert pulls.reason("big") == "image big is being pulled: 50 % of 2 MiB"
    assert registry.pulls == 1


def test_an_image_that_is_gone_again_after_its_pull_is_pulled_again(registry: Registry) -> None:
    registry.let_go.set()
    pulls = ImagePulls(registry.pull, Clock())

    def pulled_twice() -> bool:
        pulls.reason("big")
        return registry.pulls == 2

    wait_until(pulled_twice, 10, "the second pull")


@pytest.mark.parametrize("how", ["event", "error"])
def test_a_failed_pull_is_the_reason_and_tried_again_after_a_pause(registry: Registry, how: str) -> None:
    if how == "event":
        registry.events = [{"error": "no such manifest"}]
        said = "no such manifest"
    else:
        registry.refusal = "cannot pull"
        said = "cannot pull big"
    clock = Clock()
    pulls = ImagePulls(registry.pull, clock)
    wanted = f"image big is not on this host and cannot be pulled: {said}"
    wait_until(lambda: pulls.reason("big") == wanted, 10, "the failure")
    clock.advance(AGAIN_SECONDS - 1)
    assert pulls.reason("big") == wanted
    assert registry.pulls == 1
    clock.advance(1)
    pulls.reason("big")
    wait_until(lambda: registry.pulls == 2, 10, "the second pull")


def test_a_pull_that_says_nothing_any_more_is_begun_again(registry: Registry) -> None:
    clock = Clock()
    pulls = ImagePulls(registry.pull, clock)
    pulls.reason("big")
    assert registry.heard.wait(10)
    clock.advance(STALLED_SECONDS)
    assert pulls.reason("big") == "image big is being pulled: just begun"
    wait_until(lambda: registry.pulls == 2, 10, "the second pull")


def test_nothing_is_pulled_where_that_is_switched_off(registry: Registry) -> None:
    pulls = ImagePulls(registry.pull, Clock(), allowed=False)
    assert pulls.reason("big") == "image big is not on this host, and pulling is switched off"
    assert registry.pulls == 0


def test_a_pull_that_has_gone_quiet_is_told_as_such(registry: Registry) -> None:
    registry.events = [downloading("a", 1 << 20, 2 << 20)]
    clock = Clock()
    pulls = ImagePulls(registry.pull, clock)
    pulls.state("big")
    assert registry.heard.wait(10)
    clock.advance(90)
    assert pulls.state("big") == ImageState(there=False, progress="50 % of 2 MiB, nothing for 90 s")


def test_a_failure_stands_until_the_next_try_has_come_further(registry: Registry) -> None:
    """Or it would look mended, for a moment, at every try."""
    registry.refusal = "cannot pull"
    clock = Clock()
    pulls = ImagePulls(registry.pull, clock)
    wait_until(lambda: pulls.state("big").problem, 10, "the failure")
    registry.refusal = ""
    clock.advance(AGAIN_SECONDS)
    assert "cannot pull big" in pulls.state("big").problem
    assert registry.heard.wait(10)
    assert "cannot pull big" in pulls.state("big").problem
