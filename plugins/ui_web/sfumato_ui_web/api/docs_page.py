"""What the page of the API's documentation shows, from the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True)
class Row:
    """A parameter or a field.

    Attributes:
        schema: The name of the schema it refers to, for a link; empty for plain types.
    """

    name: str
    place: str
    kind: str
    required: bool
    default: str = ""
    description: str = ""
    schema: str = ""


@dataclass(frozen=True)
class Operation:
    """One method at one address."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Row, ...]
    body: str
    takes: tuple[str, ...]
    answers: tuple[tuple[str, str, str], ...]
    problems: tuple[tuple[str, str], ...]
    curl: str


@dataclass(frozen=True)
class Section:
    """The operations of one tag."""

    name: str
    id: str
    operations: tuple[Operation, ...]


def sections(document: Mapping[str, Any]) -> list[Section]:
    """All operations by their tags."""
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for tag in operation["tags"][:1] or ["Others"]:
                found.setdefault(tag, []).append(_operation(path, method.upper(), operation, document))
    return [Section(name, _slug(name), tuple(operations)) for name, operations in found.items()]


def fields(schema: Mapping[str, Any]) -> list[Row]:
    """The fields of a schema of an object."""
    required = schema.get("required", ())
    return [
        _row(name, "", name in required, described)
        for name, described in schema.get("properties", {}).items()
    ]


def _operation(
    path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    json_body = content.get("application/json", {})
    return Operation(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        parameters=tuple(
            _row(
                each["name"],
                each["in"],
                each["required"],
                {**each["schema"], "description": each.get("description", "")},
            )
            for each in operation.get("parameters", ())
        ),
        body=_referred(json_body.get("schema", {})),
        takes=tuple(content),
        answers=tuple(_answers(operation)),
        problems=tuple(
            (status, answer["description"])
            for status, answer in operation["responses"].items()
            if status.startswith(("4", "5"))
        ),
        curl=_curl(path, method, content, document),
    )


def _told(parameter: Mapping[str, Any]) -> dict[str, str]:
    return {"description": parameter.get("description", "")}


def _answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Status, media type and schema of what comes back."""
    for status, answer in operation["responses"].items():
        if status.startswith(("4", "5")):
            continue
        for media, described in answer.get("content", {"": {}}).items():
            yield status, media, _referred(described.get("schema", {}))


def _row(name: str, place: str, required: bool, schema: Mapping[str, Any]) -> Row:
    default = json.dumps(schema["default"], ensure_ascii=False) if schema.get("default") is not None else ""
    return Row(
        name, place, kind_of(schema), required, default, schema.get("description", ""), _referred(schema)
    )


def kind_of(schema: Mapping[str, Any]) -> str:
    """A type in words: "integer, 1 to 200", "list of text", "'queued' or 'running'"."""
    if "$ref" in schema:
        return str(_referred(schema))
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " or ".join(dict.fromkeys(kind_of(option) for option in schema[joined]))
    if "enum" in schema or "const" in schema:
        return " or ".join(repr(each) for each in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    bounds = [str(schema[each]) for each in ("minimum", "maximum") if each in schema]
    words = {"string": "text", "null": "null"}.get(str(kind), str(kind))
    return f"{words}, {' to '.join(bounds)}" if len(bounds) == 2 else words


def _referred(schema: Mapping[str, Any]) -> str:
    """The name of the schema that is referred to, also as the items of a list."""
    for part in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if isinstance(part, Mapping) and str(part.get("$ref", "")).startswith(SCHEMAS):
            return str(part["$ref"]).removeprefix(SCHEMAS)
    return ""


def _curl(path: str, method: str, content: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """A command to try it with; the page puts the studio's own address before the path."""
    parts = ["curl"] + ([f"-X {method}"] if method != "GET" and not content else [])
    if "multipart/form-data" in content:
        parts.append("-F file=@picture.png")
    elif "application/json" in content:
        body = _example(content["application/json"], document)
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(body, ensure_ascii=False)}'"]
        if method != "POST":
            parts.insert(1, f"-X {method}")
    return f"{' '.join(parts)} '{{host}}{path}'"


def _example(body: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """The first declared example, or one made of what is required."""
    for example in body.get("examples", {}).values():
        return example["value"]
    schema = document["components"]["schemas"].get(_referred(body["schema"]), {})
    samples = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    return {
        name: samples.get(schema["properties"][name].get("type"), "...")
        for name in schema.get("required", ())
    }


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
