"""The names below a node's directories: a node that is upgraded over a running pool finds what the last one left."""

from __future__ import annotations

from pathlib import Path

from node_agent.directories import RunDirectory, StateDirectory

RUN, STATE = RunDirectory(Path("/r")), StateDirectory(Path("/s"))


def test_an_upgraded_node_finds_what_the_last_one_left() -> None:
    assert [
        RUN.lock,
        RUN.agent_socket,
        RUN.ready,
        RUN.claimed,
        RUN.tickets,
        RUN.seen,
        RUN.static,
        RUN.nginx_config,
    ] == [
        Path("/r") / name
        for name in ("agent.lock", "agent.sock", "ready", "user", "tickets", "seen", "static", "nginx.conf")
    ]
    assert [STATE.node, STATE.token, STATE.intent, STATE.announcement, STATE.pool_changes, STATE.sandboxes] == [
        Path("/s") / name
        for name in ("node.json", "token", "intent.json", "announcement.json", "pools.json", "sandboxes")
    ]


def test_what_a_running_proxy_shows_is_left_to_it(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for directory in (run.claimed, run.probe("1"), run.pages, run.nginx):
        directory.mkdir()
    run.lock.touch()
    assert set(run.of_the_agent()) == {run.claimed, run.probe("1")}
    assert set(run.of_the_proxy()) == {run.pages, run.nginx}
    run.nginx_pid.touch()
    assert run.of_the_proxy() == []


def test_sockets_fit_as_long_as_linux_can_name_them() -> None:
    assert RunDirectory(Path("/" + "x" * 52)).excess == 0
    assert RunDirectory(Path("/" + "x" * 53)).excess == 1
