from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from redirector.local_fleet.directory import StateDirectory
from redirector.local_fleet.errors import NotStartedError
from redirector.local_fleet.plan import MARK, RUN_ROOT_LENGTH, Place, Wish, checked, drawn_up, node_plan, run_root

WISH = Wish(nodes=2, warm=3, capacity=4, port=8000, runtime="process")
PLACE = Place(StateDirectory(Path("/state")), Path("/run/tmpnb-1"), Path("/bin"), {"PATH": "/usr/bin"})


def test_nodes_take_the_ports_from_the_redirectors_plus_101_on() -> None:
    assert drawn_up(WISH, PLACE).ports == [8000, 8101, 8102]


def test_every_part_of_a_node_gets_the_same_settings() -> None:
    node = drawn_up(WISH, PLACE).nodes[1]
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
    environ = node_plan(1, replace(WISH, runtime="docker", image="an-image"), PLACE).agent.environ
    assert (environ["TMPNB_NODE_RUNTIME"], environ["TMPNB_NODE_IMAGE"]) == ("docker", "an-image")


def test_every_process_carries_the_mark_by_which_it_is_found_again() -> None:
    assert {child.environ[MARK] for child in drawn_up(WISH, PLACE).children} == {"/state"}


def test_no_token_is_on_a_command_line_or_in_the_environment() -> None:
    place = replace(PLACE, environ={"TMPNB_TOKEN": "a-secret", "TMPNB_ADMIN_TOKEN": "a-secret", "HOME": "/root"})
    for child in drawn_up(WISH, place).children:
        assert "a-secret" not in [*child.argv, *child.environ.values()]
        assert child.environ["HOME"] == "/root"


def test_settings_that_the_plan_does_not_make_pass_through() -> None:
    place = replace(PLACE, environ={"TMPNB_NODE_MAX_AGE_SECONDS": "60", "TMPNB_NODE_CAPACITY": "99"})
    environ = node_plan(1, WISH, place).agent.environ
    assert (environ["TMPNB_NODE_MAX_AGE_SECONDS"], environ["TMPNB_NODE_CAPACITY"]) == ("60", "4")


def test_nginx_is_found_where_an_unprivileged_users_path_does_not_look() -> None:
    assert "/usr/sbin" in node_plan(1, WISH, PLACE).proxy.environ["PATH"].split(":")


def test_what_makes_sense_is_left_as_it_is() -> None:
    assert checked(WISH) == WISH


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (replace(WISH, nodes=0), "--nodes"),
        (replace(WISH, nodes=-1), "--nodes"),
        (replace(WISH, nodes=51), "--nodes"),
        (replace(WISH, capacity=0, warm=0), "--capacity"),
        (replace(WISH, warm=0), "--warm"),
        (replace(WISH, warm=5), "more than --capacity 4"),
        (replace(WISH, port=0), "--port"),
        (replace(WISH, port=-8000), "--port"),
        (replace(WISH, port=65434), "65536"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_option(wish: Wish, told: str) -> None:
    with pytest.raises(NotStartedError, match=told):
        checked(wish)


def test_the_last_port_may_be_used() -> None:
    assert checked(replace(WISH, port=65535 - 102))


@pytest.mark.parametrize("uid", [0, 1000])
def test_each_state_directory_has_a_short_run_directory_of_its_own(uid: int) -> None:
    one, two = (run_root(Path(path), uid, "/run/user/1000") for path in ("/some/where", "/else/where"))
    assert one != two
    assert one == run_root(Path("/some/where"), uid, "/run/user/1000")
    assert len(str(one)) <= RUN_ROOT_LENGTH


@pytest.mark.parametrize("runtime_dir", [None, "", "/a/directory/of/a/name/that/is/too/long"])
def test_without_a_fit_directory_of_the_users_own_the_temporary_one_serves(runtime_dir: str | None) -> None:
    assert run_root(Path("/state"), 1000, runtime_dir).parent == Path("/tmp")
