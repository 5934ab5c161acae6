"""Tests of the settings: defaults, every problem at once, contradictions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node_agent.errors import NodeConfigError
from node_agent.pools.culling import Limits
from node_agent.runtimes.docker.limits import MIB, Mount
from node_agent.settings import docker as docker_settings
from node_agent.settings import table as config

MINIMAL = {"TMPNB_NODE_RUNTIME": "process"}


def problems(**values: str) -> str:
    with pytest.raises(NodeConfigError) as caught:
        config.load({**MINIMAL, **{f"TMPNB_NODE_{name}": value for name, value in values.items()}})
    return "\n".join(caught.value.problems)


def test_defaults_follow_from_what_is_set() -> None:
    settings = config.load({**MINIMAL, "TMPNB_NODE_LISTEN": "127.0.0.1:9000", "TMPNB_NODE_CAPACITY": "7"})
    assert settings.url == settings.entry_url == "http://127.0.0.1:9000"
    assert settings.warm == 7
    assert settings.token_file == Path("/var/lib/tmpnb-agent/token")
    assert settings.name
    assert not settings.fleet_only


def test_every_problem_is_reported_at_once() -> None:
    found = problems(CAPACITY="ten", LISTEN="nowhere", FLEET_ONLY="yes", CAPACTIY="3")
    assert "TMPNB_NODE_CAPACITY is 'ten', not a whole number from 1 to 10000" in found
    assert "TMPNB_NODE_LISTEN is 'nowhere', not HOST:PORT" in found
    assert "TMPNB_NODE_FLEET_ONLY is 'yes', not one of 0, 1" in found
    assert "TMPNB_NODE_CAPACTIY is no setting; did you mean TMPNB_NODE_CAPACITY?" in found
    assert len(found.splitlines()) == 4


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"WARM": "11"}, "WARM is 11, more than TMPNB_NODE_CAPACITY, 10"),
        ({"MAX_AGE_SECONDS": "60"}, "UNVISITED_SECONDS must be shorter than TMPNB_NODE_MAX_AGE_SECONDS"),
        ({"RUNTIME": "docker"}, "IMAGE is needed"),
        ({"RUNTIME": "podman"}, "not one of docker, process"),
        ({"RUN_DIR": "/run/" + "x" * 80}, "characters too long"),
        ({"RUN_DIR": "run"}, "not an absolute path"),
        ({"RUN_DIR": "/run/../etc"}, "not an absolute path"),
        ({"RUN_DIR": "/run/a b"}, "not an absolute path"),
        ({"STATE_DIR": "state"}, "not an absolute path"),
        ({"RUN_DIR": "/run/a;b"}, "not an absolute path"),
        ({"LISTEN": "127.0.0.1:99999"}, "not HOST:PORT"),
        ({"LISTEN": "127.0.0.1:0"}, "not HOST:PORT"),
        ({"LISTEN": "a;b:80"}, "not HOST:PORT"),
        ({"URL": "ftp://example.org"}, "not an address"),
        ({"URL": "https://example.org/?q"}, "not an address"),
        ({"URL": "https://exa mple.org"}, "not an address"),
        ({"NAME": "-n"}, "not up to 63 letters"),
        ({"NAME": "x" * 64}, "not up to 63 letters"),
        ({"COMMAND": "jupyter lab"}, "must be in it"),
        ({"LANDING": "lab"}, "not a path"),
        ({"LANDING": "/lab\n"}, "not a path"),
        ({"ALLOW_ORIGIN": "https://a.org, *"}, "either * alone or whole origins"),
        ({"ALLOW_ORIGIN": "https://*.a.org"}, "either * alone or whole origins"),
        ({"ALLOW_ORIGIN": "a.org"}, "no origin"),
        ({"FRAME_ANCESTORS": "https://a.org; script-src *"}, "no origin"),
        ({"ACCESS_LOG": "/dev/stdout;evil"}, "not off, a path"),
        ({"PROXY_USER": "a b"}, "not a user's name"),
        ({"TOKEN_FILE": "token"}, "not an absolute path"),
        ({"IMAGE": "-v /:/host"}, "not an image's name"),
        ({"CAPACITY": "0"}, "from 1 to 10000"),
        ({"CAPACITY": "-1"}, "from 1 to 10000"),
        ({"CAPACITY": "1e3"}, "from 1 to 10000"),
        ({"CAPACITY": ""}, "from 1 to 10000"),
        ({"MEMORY": "lots"}, "not a size of at least 1 bytes such as 512m"),
        ({"MEMORY": "0"}, "not a size"),
        ({"CPUS": "-1"}, "not a number of processors"),
        ({"USER": "root"}, "not uid or uid:gid"),
        ({"MOUNTS": "data:/data"}, "not /SOURCE:/TARGET"),
        ({"ENVIRONMENT": "A=1 B"}, "holds 'B'"),
        ({"ENVIRONMENT": "A='1"}, "cannot be split"),
        ({"EXTRA_HOSTS": "a.example.org"}, "not HOST=ADDRESS"),
        ({"POOLS": "R"}, "a pool's name has up to 31 small letters"),
        ({"POOLS": "r r"}, "names a pool twice"),
        ({"POOLS": "default"}, "names a pool twice"),
        ({"POOL_R_IMAGE": "r"}, "TMPNB_NODE_POOL_R_IMAGE is no setting"),
        ({"POOLS": "r", "POOL_R_CAPACITY": "many"}, "TMPNB_NODE_POOL_R_CAPACITY is 'many'"),
        (
            {"POOLS": "r", "POOL_R_IMAGE": "r", "POOL_R_MAX_AGE_SECONDS": "60"},
            "pool r: UNVISITED_SECONDS must be shorter than MAX_AGE_SECONDS",
        ),
        ({"POOLS": "r", "POOL_R_WARM": "11"}, "pool r: WARM is 11, more than its CAPACITY, 10"),
        ({"POOLS": "r", "RUNTIME": "docker", "IMAGE": "i"}, "pool r: its IMAGE is needed"),
        ({"RUNTIME": "docker", "IMAGE": "i", "MEMORY": "256m"}, "more than half of the memory limit of 256 MiB"),
    ],
)
def test_a_nonsense_value_is_one_problem_in_words(values: dict[str, str], said: str) -> None:
    found = problems(**values)
    assert said in found
    assert len(found.splitlines()) == 1


def test_the_longest_run_directory_that_fits_is_accepted() -> None:
    fits = "/" + "x" * (107 - len("/ready//jupyter.sock") - 34 - 1)
    assert config.load({**MINIMAL, "TMPNB_NODE_RUN_DIR": fits}).run_dir == Path(fits)
    assert "1 characters too long" in problems(RUN_DIR=f"{fits}x")


def test_lists_of_sites_are_parted_by_spaces_or_commas() -> None:
    settings = config.load({**MINIMAL, "TMPNB_NODE_ALLOW_ORIGIN": "https://A.org, http://b.org:8080"})
    assert settings.allow_origin == ("https://a.org", "http://b.org:8080")
    framed = config.load({**MINIMAL, "TMPNB_NODE_FRAME_ANCESTORS": "https://*.a.org *"})
    assert framed.frame_ancestors == ("https://*.a.org", "*")


def test_an_ipv6_address_is_written_with_brackets() -> None:
    settings = config.load({**MINIMAL, "TMPNB_NODE_LISTEN": "[::1]:8101"})
    assert (settings.listen.host, str(settings.listen)) == ("::1", "[::1]:8101")
    assert settings.url == "http://[::1]:8101"


def test_every_row_says_what_it_is_for_and_has_a_field() -> None:
    fields = set(config.NodeSettings.__dataclass_fields__)
    assert {row.field for row in config.TABLE} - docker_settings.FIELDS == fields - {"limits"}
    assert all(re.fullmatch(r"[A-Z0-9].*\.", row.reason) or row.reason.endswith(".") for row in config.TABLE)
    assert all(row.shown_default for row in config.TABLE)


def test_a_pool_has_its_own_settings_and_for_the_rest_those_of_the_default_pool() -> None:
    given = {
        "POOLS": "r-lang",
        "MEMORY": "1g",
        "MOUNTS": "/srv/data:/data, /srv/out:/out:rw",
        "ENVIRONMENT": "A=1 B='two words'",
        "LANDING": "/tree",
        "POOL_R_LANG_IMAGE": "r:1",
        "POOL_R_LANG_CAPACITY": "3",
        "POOL_R_LANG_MEMORY": "2g",
        "POOL_R_LANG_LANDING": "/lab",
        "POOL_R_LANG_CULL_IDLE_SECONDS": "600",
        "POOL_R_LANG_TRIAL_CELL": "library(ggplot2)",
    }
    default, own = config.load({**MINIMAL, **{f"TMPNB_NODE_{name}": value for name, value in given.items()}}).pools
    assert (default.name, default.landing, default.limits.memory_bytes) == ("default", "/tree", 1024 * MIB)
    assert (own.name, own.image, own.landing, own.limits.memory_bytes) == ("r-lang", "r:1", "/lab", 2048 * MIB)
    assert (own.capacity, own.warm) == (3, 3)
    assert (default.life, own.life) == (Limits(3600, 14400, 60, 600), Limits(600, 14400, 60, 600))
    assert (default.trial_cell, own.trial_cell) == ("", "library(ggplot2)")
    assert own.limits.mounts == (Mount("/srv/data", "/data"), Mount("/srv/out", "/out", read_only=False))
    assert own.limits.environment == (("A", "1"), ("B", "two words"))


def test_a_node_that_joins_serves_only_its_fleet_and_sends_people_there() -> None:
    joins = {"JOIN": "https://try.example.org/lab/", "JOIN_TOKEN": "a-join-token-0123456789"}
    settings = config.load({**MINIMAL, **{f"TMPNB_NODE_{name}": value for name, value in joins.items()}})
    assert settings.fleet_only
    assert settings.entry_url == settings.join == "https://try.example.org/lab"
    assert "a-join-token" not in repr(settings)


def test_joining_needs_a_join_token_and_one_place_for_it() -> None:
    assert "JOIN needs the fleet's join token" in problems(JOIN="https://try.example.org")
    both = problems(JOIN="https://try.example.org", JOIN_TOKEN="x" * 16, JOIN_TOKEN_FILE="/run/join-token")
    assert "JOIN needs the fleet's join token" in both


def test_a_bad_join_token_is_not_repeated() -> None:
    assert "hunter2" not in problems(JOIN="https://try.example.org", JOIN_TOKEN="hunter2")
