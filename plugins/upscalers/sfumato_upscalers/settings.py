"""The settings of upscaler models; no tensor library is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DTypeName = Literal["auto", "float32", "bfloat16", "float16"]


class UpscalerSettings(BaseModel):
    """How upscaler models run."""

    model_config = ConfigDict(frozen=True)

    tile: int = Field(
        default=256,
        ge=0,
        le=8192,
        title="Tile",
        description="Pixels of a picture's part that is enlarged at once, along each side; 0: all of it.",
    )
    overlap: int = Field(
        default=32,  # less costs as much: tiles begin at multiples of 16
        ge=0,
        le=1024,
        title="Tile overlap",
        description="Pixels that neighbouring tiles share; one fades into the other there.",
    )
    dtype: DTypeName = Field(
        default="auto",
        title="Compute type",
        description="'auto' takes the quickest type that the model knows, on a CPU float32.",
    )
    keep_models: int = Field(
        default=2,
        ge=0,
        le=16,
        title="Keep upscalers",
        description="Upscaler models kept ready for the next picture.",
    )
