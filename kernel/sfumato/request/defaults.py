"""What a model family recommends."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RequestDefaults(BaseModel):
    """What a model family recommends when the user leaves a field open."""

    model_config = ConfigDict(frozen=True)

    steps: int = 20
    sampler: str = "euler"
    scheduler: str = "simple"
    cfg_scale: float = 1.0
    width: int = 1024
    height: int = 1024
    clip_skip: int = 1
    sampler_options: dict[str, float | int | bool | str] = Field(
        default_factory=dict,
        description="Of samplers and schedulers; taken where the one that is used has them.",
    )
