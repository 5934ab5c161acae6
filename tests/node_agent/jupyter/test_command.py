"""Tests of the command template."""

from __future__ import annotations

import pytest

from node_agent.jupyter import command

VALUES = {
    "base_path": "/user/abc/",
    "socket": "/run/tmpnb/ready/abc/jupyter.sock",
    "home": "/home/a visitor",
    "landing": "/lab",
}


def expand(template: str) -> list[str]:
    return command.expand(template, server=["jupyter", "lab"], **VALUES)


def test_the_template_for_jupyterlab_has_no_problem() -> None:
    assert command.problem(command.JUPYTER_LAB) == ""


def test_the_servers_words_stand_where_the_template_names_it() -> None:
    assert expand("nice {server} --sock={socket} {base_path}")[:4] == [
        "nice",
        "jupyter",
        "lab",
        "--sock=/run/tmpnb/ready/abc/jupyter.sock",
    ]


def test_a_server_inside_a_shell_word_is_quoted() -> None:
    argv = expand("sh -c 'exec {server} --sock={socket} --base={base_path}'")
    assert argv == ["sh", "-c", "exec jupyter lab --sock=/run/tmpnb/ready/abc/jupyter.sock --base=/user/abc/"]


def test_a_value_with_spaces_stays_one_argument() -> None:
    assert "--root=/home/a visitor" in expand("{server} --root={home} {socket} {base_path}")


def test_doubled_braces_are_braces() -> None:
    assert "{}" in expand("{server} {{}} {socket} {base_path}")


def test_jupyterlab_gets_what_an_embedded_sandbox_behind_nginx_needs() -> None:
    argv = expand(command.JUPYTER_LAB)
    assert {
        "--ServerApp.sock=/run/tmpnb/ready/abc/jupyter.sock",
        "--ServerApp.sock_mode=0666",
        "--ServerApp.base_url=/user/abc/",
        "--ServerApp.default_url=/lab",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.allow_origin=*",
        "--ServerApp.root_dir=/home/a visitor",
    } <= set(argv)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "empty"),
        ("jupyter 'lab", "cannot be split"),
        ("jupyter {socket", "cannot be split"),
        ("{server} {port} {socket} {base_path}", "unknown placeholder {port}"),
        ("{server} {} {socket} {base_path}", "unknown placeholder {}"),
        ("{server} {socket.parent} {base_path}", "unknown placeholder {socket.parent}"),
        ("{server} {socket!r} {base_path}", "no format"),
        ("{server} {socket:>99} {base_path}", "no format"),
        ("{server} {base_path}", "{socket} must be in it"),
        ("{server} {socket}", "{base_path} must be in it"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_the_reason(template: str, reason: str) -> None:
    assert reason in command.problem(template)
    with pytest.raises(ValueError) as caught:
        expand(template)
    assert reason in str(caught.value)
