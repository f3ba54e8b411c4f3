"""The contract of pages."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pytest

from sfumato.pages import PageInfo
from sfumato.registry import Entry
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.testing.entries import EntryContract

if TYPE_CHECKING:
    from flask.testing import FlaskClient

LINK = re.compile(r"""\s(?:href|src|action)=["']([^"']*)["']""")


class PageContract(EntryContract):
    """What a registered page promises, in a Flask application that has nothing else."""

    registry: ClassVar[str] = "pages"

    @pytest.fixture
    def studio(self, tmp_path: Path) -> Studio:
        """A studio with the settings that nobody changed."""
        overrides = {"general.output_folder": str(tmp_path / "pictures")}
        return Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))

    @pytest.fixture
    def client(self, entry: Entry[PageInfo], studio: Studio) -> FlaskClient:
        return serve(entry, studio)

    def test_it_builds_a_blueprint(self, entry: Entry[PageInfo], studio: Studio) -> None:
        from flask import Blueprint

        assert isinstance(entry.load()(studio), Blueprint)

    def test_its_root_answers_with_a_titled_page(self, entry: Entry[PageInfo], client: FlaskClient) -> None:
        answer = client.get(f"/{entry.info.name}/")
        assert answer.status_code == 200
        assert answer.mimetype == "text/html"
        title = re.search(r"<title>(.*?)</title>", answer.get_data(as_text=True), re.DOTALL)
        assert title
        assert title[1].strip()

    def test_an_address_that_is_none_is_not_found(self, entry: Entry[PageInfo], client: FlaskClient) -> None:
        assert client.get(f"/{entry.info.name}/no-such-page-{'x' * 20}").status_code == 404

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


def serve(entry: Entry[Any], studio: Studio, address: str = "") -> FlaskClient:
    """A client of a new application with this page alone, under its name or another address."""
    from flask import Flask

    app = Flask("sfumato.testing")
    app.config["TESTING"] = True
    app.register_blueprint(entry.load()(studio), url_prefix=address or f"/{entry.info.name}")
    return app.test_client()
