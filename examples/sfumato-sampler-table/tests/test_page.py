"""The page keeps the contract, and does what only this one promises."""

from __future__ import annotations

from flask.testing import FlaskClient

from sfumato.testing import PageContract


class TestPage(PageContract):
    name = "sampler_table"

    def test_it_lists_every_sampler(self, client: FlaskClient) -> None:
        assert "Name" in client.get("/sampler_table/").get_data(as_text=True)

    def test_a_name_that_is_none_is_answered_with_a_reason(self, client: FlaskClient) -> None:
        shown = client.get("/sampler_table/", query_string={"name": "<b>none"}).get_data(as_text=True)
        assert "There is no sampler named" in shown
        assert "<b>none" not in shown
