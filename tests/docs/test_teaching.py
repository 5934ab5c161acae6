"""The commands of docs/teaching.md work as they stand, one after the other, with a repository of the test's own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.forge import serving_forge
from tests.support.link_visits import follow
from tests.support.live_fleet import LiveFleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PAGE = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text()
LINES = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()


def test_every_command_of_the_page_works_and_the_link_opens_the_lesson(tmp_path: Path) -> None:
    assert len(LINES) >= 10
    fleet = LiveFleet(1, 2, TMPNB_NODE_TRIAL_SECONDS="0")
    fleet.redirector.settings |= {"TMPNB_CONTENT_WORKER": "1", "TMPNB_CONTENT_NETWORKS": "127.0.0.0/8"}
    with serving_forge(tmp_path / "forge") as forge, fleet:
        forge.repository("course").commit({"lesson1.ipynb": "{}", "requirements.txt": "numpy\n"})
        fleet.wait_until_available(2)
        said = []
        for line in LINES:
            typed = line.replace("gh:org/course", f"git+{forge.address_of('course')}")
            program, *words = shlex.split(typed.replace("gh:org/*", f"git+{forge.url}/*"))
            assert program == "tmpnb"
            done = fleet.tmpnb(*words)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said.append(done.stdout)
        assert f"{fleet.url}/c/spring/lesson1.ipynb" in "".join(said)
        arrival = follow(f"{fleet.url}/c/spring")
        assert arrival.url.endswith("/lab/tree/lesson1.ipynb")
        assert arrival.file("lesson1.ipynb") == b"{}"
