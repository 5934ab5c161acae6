"""The shipped gunicorn configuration is what `tmpnb serve` runs with, and its numbers fit those around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redirector.errors import FleetConfigError
from redirector.server import RedirectorServer
from redirector.settings import table as config

DEPLOY = Path(__file__).parents[2] / "deploy"
SHIPPED = DEPLOY / "gunicorn.conf.py"


def served(tmp_path: Path, **settings: str) -> RedirectorServer:
    return RedirectorServer(
        config.load({"TMPNB_STATE": str(tmp_path), "TMPNB_GUNICORN_CONF": str(SHIPPED), **settings})
    )


def test_what_the_file_says_wins_over_the_settings(tmp_path: Path) -> None:
    served_with = served(tmp_path, TMPNB_LISTEN="127.0.0.1:1").cfg

    assert served_with.bind == ["127.0.0.1:8000", "unix:/run/tmpnb-redirector/http.sock"]
    assert served_with.backlog == 2048


def test_what_the_file_leaves_out_stays_with_the_settings(tmp_path: Path) -> None:
    served_with = served(tmp_path, TMPNB_WORKERS="3", TMPNB_THREADS="5").cfg

    assert (served_with.workers, served_with.threads) == (3, 5)
    assert served_with.forwarded_allow_ips == []


def test_a_visitor_who_was_let_in_is_answered_before_a_worker_stops(tmp_path: Path) -> None:
    settings = config.load({"TMPNB_STATE": str(tmp_path)})

    assert served(tmp_path).cfg.graceful_timeout > settings.place_seconds


def test_connections_of_nginx_outlast_its_own_idle_time(tmp_path: Path) -> None:
    front = (DEPLOY / "redirector" / "nginx" / "tmpnb.conf").read_text()
    idle = re.search(r"upstream tmpnb_redirector \{.*?keepalive_timeout (\d+)s;", front, re.DOTALL)

    assert idle is not None
    assert served(tmp_path).cfg.keepalive > int(idle[1])


def test_a_file_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(FleetConfigError, match="TMPNB_GUNICORN_CONF names the file '/nowhere', which cannot be read"):
        served(tmp_path, TMPNB_GUNICORN_CONF="/nowhere")
