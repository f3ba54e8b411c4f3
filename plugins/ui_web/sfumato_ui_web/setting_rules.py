"""Which settings are never shown, and which change on the studio's own machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

GUARDED_SECTIONS = ("general", "jobs", "web", "plugins")
SECRET_WORDS = ("password", "token", "secret", "api_key")


def is_secret(key: str, extra: Mapping[str, Any]) -> bool:
    """Whether a value must never be sent to a client: its field says so, or its name does.

    Args:
        extra: The field's ``json_schema_extra``.
    """
    name = key.rpartition(".")[2]
    return bool(extra.get("secret")) or any(word in name for word in SECRET_WORDS)


def is_guarded(key: str, field: FieldInfo) -> bool:
    """Whether a setting leads to files, runs programs, or guards the server."""
    extra = extra_of(field)
    return (
        key.partition(".")[0] in GUARDED_SECTIONS
        or bool(extra.get("guarded"))
        or is_secret(key, extra)
        or Path in _types(field.annotation)
    )


def extra_of(field: FieldInfo) -> Mapping[str, Any]:
    """What a plugin's author says of a setting beyond its type."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _types(annotation: Any) -> set[Any]:
    return {annotation}.union(*(_types(part) for part in get_args(annotation)))
