"""What all schemas of requests share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Frozen, and strict about names: a misspelt field is an error, not nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def group(name: str) -> dict[str, Any]:
    """Where a form or a help page shows the field."""
    return {"group": name}
