"""Values of options as requests use them, whatever type a client gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def number(options: Mapping[str, Any], key: str, default: float) -> float:
    """The value as a number; the default where it is none."""
    try:
        return float(options.get(key))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default


def whole(options: Mapping[str, Any], key: str, default: int) -> int:
    """The value as a whole number; JSON may have made 1.0 of it."""
    try:
        return int(number(options, key, default))
    except (OverflowError, ValueError):
        return default


def flag(options: Mapping[str, Any], key: str) -> bool:
    value = options.get(key)
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def text(options: Mapping[str, Any], key: str) -> str:
    value = options.get(key)
    return value if isinstance(value, str) else ""
