"""What the engine does with a family's options, told by the ``json_schema_extra`` of their fields.

``infotext="Key"``
    The value is written into the infotext under that key; with ``variants=[...]`` only for those variants.
``parts=["transformer", ...]``
    The value is the compute type of these kinds of parts; "auto" leaves them to the engine's setting.
``encodes=True``
    The value changes the conditioning. A family that marks no option is taken to depend on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def infotext_fields(schema: type[BaseModel], variant: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Infotext keys and values of the options that have one for this variant."""
    return {
        extra["infotext"]: values.get(name)
        for name, extra in _extras(schema)
        if "infotext" in extra and variant in extra.get("variants", [variant])
    }


def part_dtypes(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, str]:
    """Compute types by kind of part, as far as options name one."""
    return {
        part: values[name]
        for name, extra in _extras(schema)
        for part in extra.get("parts", ())
        if values.get(name, "auto") != "auto"
    }


def encoding_options(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the conditioning depends on."""
    marked = [name for name, extra in _extras(schema) if extra.get("encodes")]
    return {name: values[name] for name in marked if name in values} if marked else dict(values)


def _extras(schema: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.model_fields.items():
        if isinstance(field.json_schema_extra, dict):
            yield name, dict(field.json_schema_extra)
