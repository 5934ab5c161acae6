"""The commands of docs/getting-started.md work as they stand, one after the other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.base_ports import base_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "getting-started.md").read_text()
START, *REST = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = "".join(REST).splitlines()
START_SECONDS = 240.0


class Newcomer:
    """Types what the page says, on a machine whose usual ports may be taken."""

    def __init__(self, state: Path, log: Path) -> None:
        self.port = base_port()
        self._log = log
        self._environment = {**os.environ, "TMPNB_STATE": str(state)}
        # The page's two visitors may come to one node within a moment, each by another worker of the redirector.
        arguments = f"--port {self.port} --state {state} --capacity 3"
        with log.open("wb") as output:
            self._fleet = subprocess.Popen(
                ["make", START.split()[1], f"ARGS={arguments}"], cwd=ROOT, stdout=output, stderr=output
            )
        wait_until(self._up, START_SECONDS, "make up")

    def _up(self) -> bool:
        assert self._fleet.poll() is None, self._log.read_text()
        try:
            stats = requests.get(f"http://127.0.0.1:{self.port}/stats", timeout=5).json()
        except requests.RequestException:
            return False
        return bool(stats.get("available") == 6)

    def types(self, line: str) -> str:
        line = line.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def stop(self) -> None:
        self._fleet.send_signal(signal.SIGTERM)
        self._fleet.wait(60)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    directory = tmp_path_factory.mktemp("newcomer")
    started = Newcomer(directory / "state", directory / "log")
    yield started
    started.stop()


def test_the_page_starts_with_the_one_command() -> None:
    assert START == "make up\n"


def test_every_command_of_the_page_works_and_the_fleet_is_as_before(newcomer: Newcomer) -> None:
    said = {line: newcomer.types(line) for line in COMMANDS}

    assert len(said) == 8
    visited, spawned, stats, status, listed, drained, shown, resumed = said.values()
    assert visited.startswith("302 http://127.0.0.1:")
    assert '"url"' in spawned
    assert '"capacity"' in stats
    assert "n1" in listed
    assert "trying it out" in shown
    assert status
    assert drained or resumed
