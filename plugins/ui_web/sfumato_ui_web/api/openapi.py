"""The OpenAPI 3.1 document, written from the declarations that the application's views carry.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import IntegerConverter, Rule

from sfumato_ui_web.api.endpoints import DECLARATION, JSON, Empty, Endpoint, is_list
from sfumato_ui_web.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_ALWAYS = (401, 403, 422)
_WITH_BODY = (400, 413, 415)
Served = tuple[Rule, Endpoint, str]
Refs = Mapping[Any, Any]
"""By model and mode."""

PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it: https://www.rfc-editor.org/rfc/rfc9457",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "'about:blank': the status tells the kind of problem."},
        "title": {"type": "string", "description": "What happened."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Why."},
        "hint": {"type": "string", "description": "What to do next."},
        "reference": {"type": "string", "description": "The number under which the log tells more."},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON pointer (RFC 6901)."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
SECURITY: Mapping[str, Any] = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "As browsers have it after log-in; what changes something needs X-CSRF-Token too.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token: see 'sfumato users --help'."},
}


def openapi(app: Flask) -> dict[str, Any]:
    """The document of all declared endpoints of an application, those of other plugins too."""
    served = sorted(_served(app), key=lambda each: (each[0].rule, each[1].method))
    refs, schemas = _schemas(declared for _, declared, _ in served)
    paths: dict[str, dict[str, Any]] = {}
    for rule, declared, name in served:
        operation = _operation(rule, declared, name, refs, schemas)
        paths.setdefault(_path(rule), {})[declared.method.lower()] = operation
    questions = {declared.query.__name__ for _, declared, _ in served} - _named_by(schemas.values())
    kept = {name: schema for name, schema in schemas.items() if name not in questions}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sfumato",
            "version": version("sfumato-kernel"),
            "description": "The studio for programs. On its own machine nothing has to be sent along;"
            " where users log in, a token does: Authorization: Bearer TOKEN.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"session": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(tag for _, each, _ in served for tag in each.tags)],
        "paths": paths,
        "components": {
            "schemas": {**kept, "Problem": dict(PROBLEM)},
            "securitySchemes": dict(SECURITY),
        },
    }


def _served(app: Flask) -> Iterator[Served]:
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions.get(rule.endpoint), DECLARATION, None)
        if isinstance(declared, Endpoint):
            yield rule, declared, rule.endpoint.replace(".", "_")


def _schemas(declared: Iterable[Endpoint]) -> tuple[Refs, dict[str, Any]]:
    """A reference for each model, and what they refer to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for each in declared:
        if each.body is not None:
            wanted[each.body, "validation"] = None
        if each.query is not Empty:
            wanted[each.query, "validation"] = None
        if each.answer is not None:
            wanted[each.answer, "serialization"] = None
    refs, whole = models_json_schema(list(wanted), ref_template=_REF)
    return refs, whole.get("$defs", {})


def _named_by(schemas: Iterable[Any]) -> set[str]:
    """The names of all schemas that others refer to."""
    return set(re.findall(r"#/components/schemas/([A-Za-z0-9_.-]+)", repr(list(schemas))))


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _operation(
    rule: Rule, declared: Endpoint, name: str, refs: Refs, schemas: Mapping[str, Any]
) -> dict[str, Any]:
    parameters = [*_path_parameters(rule), *_query_parameters(declared, refs, schemas), *_headers(declared)]
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": declared.summary or name,
        "tags": list(declared.tags),
        "responses": _responses(rule, declared, refs),
    }
    if declared.description:
        operation["description"] = declared.description
    if parameters:
        operation["parameters"] = parameters
    if declared.body is not None or declared.takes:
        operation["requestBody"] = _request_body(declared, refs)
    return operation


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    converters = rule._converters
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0}
            if isinstance(converters.get(name), IntegerConverter)
            else {"type": "string", "minLength": 1},
        }
        for name in sorted(rule.arguments)
    ]


def _query_parameters(declared: Endpoint, refs: Refs, schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    if declared.query is Empty:
        return []
    reference = refs[declared.query, "validation"]
    schema = schemas[reference["$ref"].rpartition("/")[2]] if "$ref" in reference else reference
    required = schema.get("required", ())
    found = []
    for field_name, field in declared.query.model_fields.items():
        name = field.alias or field_name
        described = _without_null(schema["properties"][name])
        parameter = {"name": name, "in": "query", "required": name in required, "schema": described}
        if field.description:
            parameter["description"] = described.pop("description", field.description)
        if is_list(field.annotation):
            parameter["explode"] = True
        found.append(parameter)
    return found


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is left out rather than null."""
    found = dict(schema)
    options = [option for option in found.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        del found["anyOf"]
        found.update(options[0])
    if found.get("default", 0) is None:
        del found["default"]
    return found


def _headers(declared: Endpoint) -> list[dict[str, Any]]:
    """Headers that matter; Last-Event-ID is a number."""
    shapes: Mapping[str, dict[str, Any]] = {"Last-Event-ID": {"type": "integer", "minimum": 0}}
    short = {"type": "string", "minLength": 1, "maxLength": 200}
    return [
        {"name": name, "in": "header", "required": False, "schema": shapes.get(name, short)}
        for name in declared.headers
    ]


def _request_body(declared: Endpoint, refs: Refs) -> dict[str, Any]:
    content = {media: {"schema": dict(schema)} for media, schema in declared.takes.items()}
    if declared.body is None:
        return {"required": True, "content": content}
    body: dict[str, Any] = {"schema": refs[declared.body, "validation"]}
    if declared.examples:
        body["examples"] = {
            re.sub(r"\W+", "_", line).lower(): {"summary": line, "value": value}
            for line, value in declared.examples.items()
        }
    needed = any(field.is_required() for field in declared.body.model_fields.values())
    return {"required": needed, "content": {JSON: body, **content}}


def _responses(rule: Rule, declared: Endpoint, refs: Refs) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": dict(schema)} for media, schema in declared.media.items()}
    if declared.answer is not None:
        content[JSON] = {"schema": refs[declared.answer, "serialization"]}
    found: dict[str, Any] = {}
    for status in (declared.status, *declared.also):
        has_content = status not in (204, 304) and content
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            **({"content": content} if has_content else {}),
        }
    problems = {*_ALWAYS, *declared.errors}
    problems |= set(_WITH_BODY) if declared.body is not None else set()
    problems |= {404} if rule.arguments else set()
    problems |= {declared.conflict} if declared.conflict else set()
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    for status in sorted(problems - {declared.status, *declared.also}):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": problem}
    return found
