"""Tests of the commands for the host's own operator, within this process; `test_live_node` tries the programs."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node_agent import cli
from node_agent.cli import serve as serving
from node_agent.cli.local_client import AgentAway, LocalAgent, OrderRefusedError
from node_agent.errors import HostError
from node_agent.settings import table as config
from tests.support.node_fakes import Request, UnixServer

TOKEN = "a-token-of-the-node-0123456789"
STATS = {
    "name": "n1",
    "state": "active",
    "available": 1,
    "starting": 2,
    "startable": 3,
    "claimed": 4,
    "capacity": 10,
    "pools": {"default": {"problem": "no such image"}, "gpu": {"problem": ""}},
}


@dataclass
class Host:
    """One node's directories, and an agent that answers what it is told to."""

    root: Path
    state: str = ""
    """What the agent makes of a decision, if not what was asked for."""
    asked: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def respond(self, request: Request) -> None:
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length", 0))) or b"null")
        self.asked.append((request.command, request.path, request.headers["Authorization"], body))
        match request.path:
            case "/api/stats":
                request.answer_json(STATS)
            case "/api/state":
                request.answer_json({"state": self.state or body["state"], "generation": 1})
            case "/healthz":
                request.answer(503, b'{"status": "unhealthy", "message": "the engine does not answer"}')
            case _:
                request.answer(200, b"no JSON")

    def environment(self, **more: str) -> dict[str, str]:
        given = {"RUNTIME": "process", "RUN_DIR": str(self.root), "STATE_DIR": str(self.root / "state"), **more}
        return {f"TMPNB_NODE_{name}": value for name, value in given.items()}

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.agent, arguments, env=self.environment())


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        (Path(root) / "state").mkdir()
        (Path(root) / "state" / "token").write_text(TOKEN)
        (Path(root) / "state" / "token").chmod(0o600)
        yield Host(Path(root))


@pytest.fixture
def served(host: Host) -> Iterator[Host]:
    server = UnixServer(host.root / "agent.sock", host.respond)
    yield host
    server.stop()


def test_status_says_the_counts_and_what_is_wrong(served: Host) -> None:
    assert served.run("status").stdout.splitlines() == [
        "n1: active",
        "available 1  starting 2  startable 3  claimed 4  ending 0  capacity 10",
        "pool default: no such image",
    ]
    assert json.loads(served.run("status", "--json").stdout) == STATS


def test_a_decision_goes_to_the_agent_with_token_reason_and_name(served: Host) -> None:
    told = served.run("drain", "--reason", "new disk")
    assert (told.exit_code, told.stdout) == (0, "this node is draining\n")
    [(method, path, authorization, body)] = served.asked
    assert (method, path, authorization) == ("PUT", "/api/state", f"Bearer {TOKEN}")
    assert (body["state"], body["reason"]) == ("draining", "new disk")
    assert body["by"]


def test_who_resumes_a_node_that_the_fleet_drains_is_told_so(served: Host) -> None:
    served.state = "draining"
    told = served.run("resume")
    assert told.stdout == "this node is draining\n"
    assert "resume it there as well" in told.stderr


def test_an_unwell_agent_is_a_failure_with_the_reason(served: Host) -> None:
    told = served.run("health")
    assert isinstance(told.exception, OrderRefusedError)
    assert str(told.exception) == "the engine does not answer"


def test_an_agent_that_is_away_is_an_error_that_says_how_to_start_it(host: Host) -> None:
    with pytest.raises(AgentAway, match="start it with: tmpnb-agent serve"):
        LocalAgent(host.root / "agent.sock", TOKEN).get("/api/stats")


def test_an_answer_that_is_no_json_is_an_error(served: Host) -> None:
    with pytest.raises(OrderRefusedError, match="answered 200 and no JSON"):
        LocalAgent(served.root / "agent.sock", TOKEN).get("/odd")


def test_purge_of_a_node_that_never_was_does_nothing(host: Host) -> None:
    env = host.environment(RUN_DIR=str(host.root / "never"), STATE_DIR=str(host.root / "never-too"))
    told = CliRunner().invoke(cli.agent, ["purge"], env=env)
    assert (told.exit_code, told.output) == (0, "")
    assert not (host.root / "never").exists()


def test_purge_removes_what_a_node_left_and_keeps_its_identity(host: Host) -> None:
    (host.root / "user" / ("a" * 34)).mkdir(parents=True)
    (host.root / "state" / "sandboxes" / "aaaaaaaa" / "home").mkdir(parents=True)
    (host.root / "nginx.conf").write_text("")
    (host.root / "static" / "0123456789abcdef" / "lab").mkdir(parents=True)
    (host.root / "pages").mkdir()
    told = host.run("purge")
    assert (told.exit_code, told.stderr) == (0, "ended 1 sandboxes\n")
    assert {path.name for path in host.root.iterdir()} == {"state", "agent.lock"}
    assert list((host.root / "state" / "sandboxes").iterdir()) == []
    assert (host.root / "state" / "token").read_text() == TOKEN


def test_purge_leaves_a_running_proxy_the_pages_that_it_shows(host: Host) -> None:
    for name in ("pages", "nginx"):
        (host.root / name).mkdir()
    (host.root / "nginx" / "nginx.pid").write_text("1")
    assert host.run("purge").exit_code == 0
    assert {path.name for path in host.root.iterdir()} == {"state", "agent.lock", "pages", "nginx"}


def test_every_setting_is_listed_with_its_value_where_it_is_no_secret(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPNB_NODE_JOIN_TOKEN", TOKEN)
    shown = host.run("config", "show").stdout
    assert all(row.variable in shown and row.reason in shown for row in config.TABLE)
    assert f"TMPNB_NODE_RUN_DIR={host.root} (path), default /run/tmpnb\n" in shown
    assert TOKEN not in shown
    monkeypatch.delenv("TMPNB_NODE_JOIN_TOKEN")
    assert host.run("config", "check").stdout == "the settings are sound\n"


def test_state_that_the_worker_could_not_read_is_found_before_it_starts(host: Host) -> None:
    settings = config.load(host.environment())
    serving.check_state(settings)
    (host.root / "state" / "intent.json").write_text("{")
    with pytest.raises(HostError, match="cannot be read"):
        serving.check_state(settings)


@pytest.mark.parametrize(
    ("arguments", "more", "code", "said"),
    [
        (["config", "check"], {"CAPACITY": "x", "WARM": "y"}, 2, "tmpnb-agent: TMPNB_NODE_WARM is 'y'"),
        (["status"], {}, 1, "start it with: tmpnb-agent serve"),
        (["nonsense"], {}, 2, "No such command"),
        (["drain", "--nonsense"], {}, 2, "No such option"),
    ],
)
def test_errors_become_one_clear_line_and_an_exit_code(  # noqa: PLR0917 - fixtures and the example's columns
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    more: dict[str, str],
    code: int,
    said: str,
) -> None:
    for name, value in host.environment(**more).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["tmpnb-agent", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "proxy", "purge", "drain", "resume", "status", "health", "config"])
def test_every_command_has_a_help_text(host: Host, command: str) -> None:
    told = host.run(command, "--help")
    assert told.exit_code == 0
    assert len(told.stdout.splitlines()) > 4
