from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.errors import NotStartedError
from redirector.local_fleet.plan import (
    MARK,
    RUN_ROOT_LENGTH,
    Installation,
    UpOptions,
    checked,
    make_plan,
    node_plan,
    run_root,
)

OPTIONS = UpOptions(nodes=2, warm=3, capacity=4, port=8000, runtime="process")
INSTALLATION = Installation(FleetDirectory(Path("/state")), Path("/run/tmpnb-1"), Path("/bin"), {"PATH": "/usr/bin"})


def test_the_redirector_has_the_port_after_the_entrys_and_nodes_those_from_101_further_on() -> None:
    assert make_plan(OPTIONS, INSTALLATION).ports == [8000, 8001, 8101, 8102]


def test_everybody_comes_in_through_nginx_and_the_redirector_trusts_it_alone() -> None:
    installation = replace(INSTALLATION, environ={"TMPNB_TRUSTED_PROXIES": "2", "TMPNB_LISTEN": "0.0.0.0:80"})
    plan = make_plan(OPTIONS, installation)
    assert plan.url == plan.nodes[0].agent.environ["TMPNB_NODE_ENTRY_URL"] == "http://127.0.0.1:8000"
    assert plan.redirector.environ["TMPNB_LISTEN"] == "127.0.0.1:8001"
    assert plan.redirector.environ["TMPNB_TRUSTED_PROXIES"] == "1"
    assert plan.redirector.environ["TMPNB_STREAMS_LISTEN"] == "unix:/run/tmpnb-1/streams.sock"
    for directive in ("listen 127.0.0.1:8000 ", "server 127.0.0.1:8001 ", 'server "unix:/run/tmpnb-1/streams.sock" '):
        assert plan.front_config.count(directive) == 1, directive


def test_every_part_of_a_node_gets_the_same_settings() -> None:
    node = make_plan(OPTIONS, INSTALLATION).nodes[1]
    assert node.agent.environ == node.proxy.environ == node.purge.environ
    settings = {name: value for name, value in node.agent.environ.items() if name.startswith("TMPNB_NODE_")}
    assert settings == {
        "TMPNB_NODE_NAME": "n2",
        "TMPNB_NODE_LISTEN": "127.0.0.1:8102",
        "TMPNB_NODE_URL": "http://127.0.0.1:8102",
        "TMPNB_NODE_ENTRY_URL": "http://127.0.0.1:8000",
        "TMPNB_NODE_RUN_DIR": "/run/tmpnb-1/n2",
        "TMPNB_NODE_STATE_DIR": "/state/nodes/n2",
        "TMPNB_NODE_RUNTIME": "process",
        "TMPNB_NODE_WARM": "3",
        "TMPNB_NODE_CAPACITY": "4",
        "TMPNB_NODE_FLEET_ONLY": "1",
    }


def test_a_node_of_containers_is_told_their_image() -> None:
    environ = node_plan(1, replace(OPTIONS, runtime="docker", image="an-image"), INSTALLATION).agent.environ
    assert (environ["TMPNB_NODE_RUNTIME"], environ["TMPNB_NODE_IMAGE"]) == ("docker", "an-image")


def test_every_process_carries_the_mark_by_which_it_is_found_again() -> None:
    assert {child.environ[MARK] for child in make_plan(OPTIONS, INSTALLATION).children} == {"/state"}


def test_no_token_is_on_a_command_line_or_in_the_environment() -> None:
    installation = replace(
        INSTALLATION, environ={"TMPNB_TOKEN": "a-secret", "TMPNB_ADMIN_TOKEN": "a-secret", "HOME": "/root"}
    )
    for child in make_plan(OPTIONS, installation).children:
        assert "a-secret" not in [*child.argv, *child.environ.values()]
        assert child.environ["HOME"] == "/root"


def test_settings_that_the_plan_does_not_make_pass_through() -> None:
    installation = replace(INSTALLATION, environ={"TMPNB_NODE_MAX_AGE_SECONDS": "60", "TMPNB_NODE_CAPACITY": "99"})
    environ = node_plan(1, OPTIONS, installation).agent.environ
    assert (environ["TMPNB_NODE_MAX_AGE_SECONDS"], environ["TMPNB_NODE_CAPACITY"]) == ("60", "4")


def test_nginx_is_found_where_an_unprivileged_users_path_does_not_look() -> None:
    plan = make_plan(OPTIONS, INSTALLATION)
    for child in (plan.front, plan.nodes[0].proxy):
        assert "/usr/sbin" in child.environ["PATH"].split(":")


def test_what_makes_sense_is_left_as_it_is() -> None:
    assert checked(OPTIONS) == OPTIONS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (replace(OPTIONS, nodes=0), "--nodes"),
        (replace(OPTIONS, nodes=-1), "--nodes"),
        (replace(OPTIONS, nodes=51), "--nodes"),
        (replace(OPTIONS, capacity=0, warm=0), "--capacity"),
        (replace(OPTIONS, warm=0), "--warm"),
        (replace(OPTIONS, warm=5), "more than --capacity 4"),
        (replace(OPTIONS, port=0), "--port"),
        (replace(OPTIONS, port=-8000), "--port"),
        (replace(OPTIONS, port=65434), "65536"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_option(options: UpOptions, told: str) -> None:
    with pytest.raises(NotStartedError, match=told):
        checked(options)


def test_the_last_port_may_be_used() -> None:
    assert checked(replace(OPTIONS, port=65535 - 102))


@pytest.mark.parametrize("uid", [0, 1000])
def test_each_state_directory_has_a_short_run_directory_of_its_own(uid: int) -> None:
    one, two = (run_root(Path(path), uid, "/run/user/1000") for path in ("/some/where", "/else/where"))
    assert one != two
    assert one == run_root(Path("/some/where"), uid, "/run/user/1000")
    assert len(str(one)) <= RUN_ROOT_LENGTH


@pytest.mark.parametrize("runtime_dir", [None, "", "/a/directory/of/a/name/that/is/too/long"])
def test_without_a_fit_directory_of_the_users_own_the_temporary_one_serves(runtime_dir: str | None) -> None:
    assert run_root(Path("/state"), 1000, runtime_dir).parent == Path("/tmp")
