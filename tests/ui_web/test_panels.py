"""Panels of plugins stand on the pages that they name."""

from __future__ import annotations

from flask import Blueprint, url_for

from sfumato.studio import Studio
from sfumato_ui_web.app import create_app


def build_note(studio: Studio) -> Blueprint:
    panel = Blueprint("note", __name__)

    @panel.get("/")
    def fragment() -> str:
        return f'<a href="{url_for("note.fragment")}">A note</a>'

    return panel


def build_broken(studio: Studio) -> Blueprint:
    panel = Blueprint("broken", __name__)

    @panel.get("/")
    def fragment() -> str:
        raise ValueError("no")

    return panel


def shown(studio: Studio, page: str, *builders: str) -> str:
    """A page of a studio in which each of these is a panel on the page Queue."""
    panels = studio.registries.panels.registrar("test")
    for builder in builders:
        panels.add(builder, f"{__name__}:{builder}", label=f"Panel {builder}", page="queue", order=1)
    panels.commit()
    answer = create_app(studio).test_client().get(f"/{page}/")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_a_panel_stands_under_its_label_on_the_page_that_it_names(studio: Studio) -> None:
    page = shown(studio, "queue", "build_note")
    assert page.index("Panel build_note") < page.index('<a href="/panels/build_note/">A note</a>')


def test_a_panel_is_on_no_other_page(studio: Studio) -> None:
    assert "A note" not in shown(studio, "system", "build_note")


def test_a_panel_that_fails_says_so_in_its_place_and_the_others_are_shown(studio: Studio) -> None:
    page = shown(studio, "queue", "build_broken", "build_note")
    assert "This panel cannot be shown." in page
    assert "A note" in page
