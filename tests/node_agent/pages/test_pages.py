"""The node's templates, and an operator's own in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_agent.errors import HostError
from node_agent.pages import Pages, script_path

ENTRY = "https://entry.example.org"


def test_an_operators_template_overrides_the_one_of_its_name_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text("{% extends 'page.html' %}{% block main %}Come at {{ seconds }}{% endblock %}")
    pages = Pages(ENTRY, tmp_path)
    assert "Come at 5" in pages.render("full", seconds=5)
    assert "on its way" in pages.render("starting", seconds=1)


def test_an_operators_style_is_in_every_page(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("body { color: rebeccapurple }")
    assert "rebeccapurple" in Pages(ENTRY, tmp_path).render("gone")


@pytest.mark.parametrize("text", ["{% if %}", "{% extends 'nowhere.html' %}", "{{ unheard_of }}"])
def test_a_template_that_cannot_be_used_is_told_by_name_at_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "gone.html").write_text(text)
    with pytest.raises(HostError, match=r"gone\.html"):
        Pages(ENTRY, tmp_path).write(tmp_path / "run")


def test_a_broken_template_of_a_page_that_nginx_does_not_serve_is_told_at_start_too(tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text("{% block %}")
    with pytest.raises(HostError, match=r"full\.html"):
        Pages(ENTRY, tmp_path).write(tmp_path / "run")


def test_a_template_that_fails_while_it_is_shown_gives_way_to_ours(tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text("{{ unheard_of }}")
    assert "All notebooks are in use" in Pages(ENTRY, tmp_path).render("full", seconds=5)


def test_markup_in_a_value_stays_text() -> None:
    assert "<b>" not in Pages(ENTRY).render("error", heading="<b>bold</b>", message="")


def test_nginx_gets_its_pages_and_the_scripts(tmp_path: Path) -> None:
    Pages(ENTRY).write(tmp_path / "run")
    assert {each.name for each in (tmp_path / "run").iterdir()} == {
        "gone.html",
        "broken.html",
        "cookies.html",
        script_path("sandbox").removeprefix("/-/"),
        script_path("info").removeprefix("/-/"),
    }
    assert f'href="{ENTRY}/fresh<!--#' in (tmp_path / "run" / "gone.html").read_text()


def test_a_script_has_an_address_of_its_own_for_its_content() -> None:
    assert script_path("info").startswith("/-/info.")
    assert script_path("info") != script_path("sandbox")
