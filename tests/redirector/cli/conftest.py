from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from redirector.cli import main
from tests.redirector.cli.fake_redirector import TOKEN, FakeRedirector, node

Tmpnb = Callable[..., Result]


def shown_on(terminal: int) -> str:
    """All that is written to a pseudo-terminal until its other side is closed.

    It has to be read meanwhile: one that nobody reads stops whoever writes more than 4 kB to it.
    """
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # Linux says EIO for the end.
            os.close(terminal)
            return shown.decode()


@pytest.fixture
def fake() -> Iterator[FakeRedirector]:
    with FakeRedirector(node("n1"), node("n2", 8102, available=2, claimed=2)) as fake:
        yield fake


@pytest.fixture
def tmpnb(fake: FakeRedirector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tmpnb:
    """The command line in an empty directory, with the fake named by the environment."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, says: str | None = None, **environ: str) -> Result:
        settings = {"TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN, "TMPNB_STATE": None, "TMPNB_TOKEN_FILE": None}
        return CliRunner().invoke(main, arguments, input=says, env=settings | environ)

    return run
