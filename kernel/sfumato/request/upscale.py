"""Extras: pictures enlarged and mended without a diffusion model."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sfumato.request.schema import Schema, shown


class UpscaleRequest(Schema):
    """Pictures to enlarge, each saved anew with the infotext it had."""

    images: tuple[Path, ...] = Field(
        title="Pictures",
        description="Picture files, or folders of them.",
        min_length=1,
        json_schema_extra=shown(picture=True),
    )
    upscaler: str = Field(
        default="lanczos",
        title="Upscaler",
        description="What enlarges the pictures; 'sfumato upscalers' lists them.",
        json_schema_extra=shown(choices="upscalers"),
    )
    scale: float = Field(
        default=4.0,
        gt=0,
        le=16,
        title="Resize by",
        description="Factor of both sides.",
        json_schema_extra=shown(step=0.25),
    )
    width: int = Field(
        default=0,
        ge=0,
        le=32768,
        title="Width",
        description="Width to come to, instead of a factor.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    height: int = Field(
        default=0,
        ge=0,
        le=32768,
        title="Height",
        description="Height to come to, instead of a factor.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    crop: bool = Field(
        default=False, title="Crop to fit", description="Where a size is given, crop what sticks out."
    )
    second_upscaler: str | None = Field(
        default=None,
        title="Upscaler 2",
        description="Another one whose result is mixed in.",
        json_schema_extra=shown(choices="upscalers", advanced=True),
    )
    second_visibility: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Upscaler 2 visibility",
        description="Its share of the result.",
        json_schema_extra=shown(step=0.05, advanced=True),
    )
    face_restorer: str | None = Field(
        default=None,
        title="Face restoration",
        description="What mends faces, where a plugin brings one.",
        json_schema_extra=shown(choices="face_restorers", advanced=True),
    )
    face_visibility: float = Field(
        default=1.0,
        ge=0,
        le=1,
        title="Face restoration visibility",
        description="Its share of the result.",
        json_schema_extra=shown(step=0.05, advanced=True),
    )
    faces_last: bool = Field(
        default=False,
        title="Upscale before restoring faces",
        description="Mend faces after enlarging.",
        json_schema_extra=shown(advanced=True),
    )
