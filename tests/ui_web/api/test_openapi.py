"""The OpenAPI document is right, and the application keeps to it."""

from __future__ import annotations

from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

ENDLESS = "/api/v1/events"
"""A stream that never ends, which no such tool reads; `test_events` does."""


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/openapi.json").json
    return found


def test_it_is_an_openapi_document_whose_references_lead_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    names = set(document["components"]["schemas"])
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in names


def test_every_schema_in_it_is_a_json_schema(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        whole = {**schema, "components": document["components"]}
        assert jsonschema_rs.meta.is_valid(whole), name


def test_operations_have_names_of_their_own_and_say_what_they_do(document: dict[str, Any]) -> None:
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(names) == len(set(names)) > 40
    assert all(each["summary"] and each["tags"] for each in operations)


def test_what_other_plugins_declare_is_in_it(document: dict[str, Any]) -> None:
    assert any(path.startswith("/api/v1/pictures") for path in document["paths"])


def test_it_comes_again_only_when_it_changed(client: FlaskClient) -> None:
    first = client.get("/api/v1/openapi.json")
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_its_page_tells_of_every_operation_and_has_no_script_or_style_within(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    page = client.get("/api/v1/docs")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    for methods in document["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in text
    assert "<script>" not in text
    assert " style=" not in text
    assert "curl -X POST" in text
    assert "{host}" not in text


@pytest.mark.slow
def test_the_application_keeps_to_the_document_whatever_is_sent(app: Flask) -> None:
    """Every endpoint, with valid and invalid requests made from the document: no failure inside, and each
    answer has a status, a type and a shape that the document tells."""
    config = SchemathesisConfig()
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, config=config)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(ENDLESS) or operation.path.startswith("/api/v1/pictures"):
            continue
        _try(operation)


def _try(operation: Any) -> None:
    """A name that nobody registered is valid by its schema and refused all the same."""

    @hypothesis.settings(
        max_examples=12,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    if isinstance(value, list):
        return [found for part in value for found in _references(part)]
    return []
