"""The page keeps the contract, and does what only this one promises."""

from __future__ import annotations

from flask.testing import FlaskClient

from sfumato.studio import Studio
from sfumato.testing import PageContract

ADDRESS = "/sampler_table/"


class TestPage(PageContract):
    name = "sampler_table"

    def test_it_lists_every_sampler(self, client: FlaskClient, studio: Studio) -> None:
        samplers = studio.registries.samplers.registrar("test")
        samplers.add("first", "test:first", label="The first")
        samplers.commit()
        shown = client.get(ADDRESS).get_data(as_text=True)
        for entry in studio.registries.samplers:
            assert f"<td>{entry.info.name}</td>" in shown

    def test_a_name_that_is_none_is_answered_with_a_reason(self, client: FlaskClient) -> None:
        answer = client.get(ADDRESS, query_string={"name": "<b>none"})
        shown = answer.get_data(as_text=True)
        assert "There is no sampler named" in shown
        assert "<b>none" not in shown
