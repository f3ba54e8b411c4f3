"""Further passes of a picture: hires fix, and the hand-off to a refiner."""

from __future__ import annotations

from pydantic import Field

from sfumato.request.schema import Schema, shown


class HiresPass(Schema):
    """Hires fix: the picture is enlarged, then drawn on. What is left open is as in the first pass."""

    scale: float = Field(
        default=2.0,
        ge=1,
        le=8,
        title="Upscale by",
        description="Factor of both sides; without effect where a size is given.",
        json_schema_extra=shown(step=0.05),
    )
    width: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Resize width to",
        description="Width to come to; 0 follows from the height, or from the factor. Given both, the rest "
        "is cropped.",
        json_schema_extra=shown(unit="pixels", step=8, advanced=True),
    )
    height: int = Field(
        default=0,
        ge=0,
        le=16384,
        title="Resize height to",
        description="Height to come to; 0 follows from the width, or from the factor.",
        json_schema_extra=shown(unit="pixels", step=8, advanced=True),
    )
    upscaler: str = Field(
        default="latent",
        title="Upscaler",
        description="What enlarges the picture; 'sfumato upscalers' lists them.",
        json_schema_extra=shown(choices="upscalers"),
    )
    steps: int = Field(
        default=0,
        ge=0,
        le=1000,
        title="Hires steps",
        description="Steps of this pass; 0 takes as many as the first one.",
    )
    denoising_strength: float = Field(
        default=0.7,
        ge=0,
        le=1,
        title="Denoising strength",
        description="How much may change: 0 nothing, 1 everything.",
        json_schema_extra=shown(step=0.01),
    )
    model: str | None = Field(
        default=None,
        title="Hires checkpoint",
        description="Another model for this pass.",
        json_schema_extra=shown(choices="models", advanced=True),
    )
    sampler: str | None = Field(
        default=None,
        title="Hires sampler",
        description="Another sampler for this pass.",
        json_schema_extra=shown(choices="samplers", advanced=True),
    )
    scheduler: str | None = Field(
        default=None,
        title="Hires scheduler",
        description="Another scheduler for this pass.",
        json_schema_extra=shown(choices="schedulers", advanced=True),
    )
    prompt: str | None = Field(
        default=None,
        title="Hires prompt",
        description="Another prompt for this pass.",
        json_schema_extra=shown(lines=2, advanced=True),
    )
    negative_prompt: str | None = Field(
        default=None,
        title="Hires negative prompt",
        description="Another negative prompt for this pass.",
        json_schema_extra=shown(lines=2, advanced=True),
    )
    cfg_scale: float | None = Field(
        default=None,
        ge=0,
        le=100,
        title="Hires CFG scale",
        description="Another CFG scale for this pass.",
        json_schema_extra=shown(step=0.5, advanced=True),
    )


class Refiner(Schema):
    """Another model that takes over in the course of the steps."""

    model: str = Field(
        title="Refiner",
        description="The model that takes over; its latents must be of the same kind.",
        json_schema_extra=shown(choices="models"),
    )
    switch_at: float = Field(
        default=0.8,
        ge=0,
        le=1,
        title="Switch at",
        description="Share of the steps after which it takes over.",
        json_schema_extra=shown(step=0.05),
    )
    by_steps: bool = Field(
        default=True,
        title="Switch by sampling steps",
        description="Count sampling steps; otherwise the timesteps that the model was trained on, as A1111 "
        "1.10 and diffusers do.",
        json_schema_extra=shown(advanced=True),
    )
