"""The contracts of pages, of panels on pages, and of routes for programs."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pytest

from sfumato.pages import PageInfo, PanelInfo, RoutesInfo
from sfumato.registry import Entry
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.testing.entries import EntryContract

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

BASE_TEMPLATE = """<!doctype html>
<html lang="en"><head><title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}</head>
<body><main>{% block content %}{% endblock %}</main></body></html>
"""
"""What a page's template extends, as plain as can be."""

INLINE = re.compile(
    r"<script(?![^>]*\ssrc=)(?![^>]*json)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
)
"""What the content security policy of the web interface refuses."""

LINK = re.compile(r"""\s(?:href|src|action)=["']([^"']*)["']""")


class _WebContract(EntryContract):
    """What pages, panels and routes have in common: they are blueprints built for a studio."""

    @pytest.fixture
    def studio(self, tmp_path: Path) -> Studio:
        """A studio with folders of its own, and else the settings that nobody changed."""
        overrides = {
            "general.output_folder": str(tmp_path / "pictures"),
            "general.data_folder": str(tmp_path / "data"),
        }
        return Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))

    @pytest.fixture
    def client(self, entry: Entry[Any], studio: Studio) -> FlaskClient:
        return serve(entry, studio)

    def test_it_builds_a_blueprint(self, entry: Entry[Any], studio: Studio) -> None:
        from flask import Blueprint

        assert isinstance(entry.load()(studio), Blueprint)

    def test_it_can_be_built_for_two_applications(self, entry: Entry[Any], studio: Studio) -> None:
        serve(entry, studio)
        serve(entry, studio)


class PageContract(_WebContract):
    """What a registered page promises, in a Flask application that has nothing else."""

    registry: ClassVar[str] = "pages"

    def test_its_root_answers_with_a_titled_page(self, entry: Entry[PageInfo], client: FlaskClient) -> None:
        answer = client.get(f"/{entry.info.name}/")
        assert answer.status_code == 200
        assert answer.mimetype == "text/html"
        title = re.search(r"<title>(.*?)</title>", answer.get_data(as_text=True), re.DOTALL)
        assert title
        assert title[1].strip()

    def test_an_address_that_is_none_is_not_found(self, entry: Entry[PageInfo], client: FlaskClient) -> None:
        assert client.get(f"/{entry.info.name}/no-such-page-{'x' * 20}").status_code == 404

    def test_it_needs_no_inline_script_or_style(self, entry: Entry[PageInfo], client: FlaskClient) -> None:
        found = INLINE.search(client.get(f"/{entry.info.name}/").get_data(as_text=True))
        assert not found, f"'{found[0]}': the content security policy refuses what is not in files of its own"

    def test_it_can_be_served_at_any_address_and_twice(self, entry: Entry[PageInfo], studio: Studio) -> None:
        for address in ("/one", "/some/where"):
            client = serve(entry, studio, address)
            answer = client.get(f"{address}/")
            assert answer.status_code == 200
            for link in LINK.findall(answer.get_data(as_text=True)):
                where = urlsplit(urljoin(f"{address}/", unescape(link)))
                if not where.netloc and where.path:
                    found = client.get(where.path, query_string=where.query).status_code
                    assert found != 404, f"'{link}' leads nowhere at {address}/: make links by flask.url_for"


class PanelContract(_WebContract):
    """What a registered panel promises."""

    registry: ClassVar[str] = "panels"

    def test_its_fragment_goes_into_a_page(self, entry: Entry[PanelInfo], studio: Studio) -> None:
        blueprint = entry.load()(studio)
        client = serve(entry, studio)
        app = client.application
        endpoint = f"{blueprint.name}.fragment"
        assert endpoint in app.view_functions, "its view that gives the HTML is named 'fragment'"
        with app.test_request_context(f"/{entry.info.page}/"):
            shown = str(app.ensure_sync(app.view_functions[endpoint])())
        assert shown.strip()
        assert "<html" not in shown.lower()
        assert "<body" not in shown.lower()
        assert not INLINE.search(shown)

    def test_its_page_is_named(self, entry: Entry[PanelInfo]) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.info.page)


class RoutesContract(_WebContract):
    """What a set of routes for programs promises."""

    registry: ClassVar[str] = "routes"

    @pytest.fixture
    def client(self, entry: Entry[RoutesInfo], studio: Studio) -> FlaskClient:
        return serve(entry, studio, entry.info.address)

    def test_its_address_is_a_path(self, entry: Entry[RoutesInfo]) -> None:
        assert re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", entry.info.address)

    def test_it_answers_below_its_address_alone(self, entry: Entry[RoutesInfo], client: FlaskClient) -> None:
        rules = [rule.rule for rule in client.application.url_map.iter_rules() if rule.endpoint != "static"]
        assert rules
        assert all(rule.startswith(entry.info.address) for rule in rules)

    def test_an_address_that_is_none_is_not_found(
        self, entry: Entry[RoutesInfo], client: FlaskClient
    ) -> None:
        assert client.get(f"{entry.info.address}/no-such-{'x' * 20}").status_code == 404


def serve(entry: Entry[Any], studio: Studio, address: str | None = None) -> FlaskClient:
    """A client of a new application with this alone, under its name or another address."""
    from flask import Flask
    from jinja2 import ChoiceLoader, DictLoader

    app = Flask("sfumato.testing")
    app.config["TESTING"] = True
    own: Any = app.jinja_loader
    app.jinja_loader = ChoiceLoader([own, DictLoader({"sfumato/page.html": BASE_TEMPLATE})])
    _translate_nothing(app)
    app.jinja_env.globals.setdefault("panels", lambda page: "")
    prefix = f"/{entry.info.name}" if address is None else address
    app.register_blueprint(entry.load()(studio), url_prefix=prefix or None)
    return app.test_client()


def _translate_nothing(app: Flask) -> None:
    """Texts stay English, whether templates and views translate them by Flask-Babel or not at all."""
    import importlib
    import importlib.util

    if importlib.util.find_spec("flask_babel"):
        importlib.import_module("flask_babel").Babel(app)
    else:
        app.jinja_env.globals["_"] = lambda text, **values: text % values if values else text
