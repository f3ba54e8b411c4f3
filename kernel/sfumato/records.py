"""What comes back: one record an image, and the result of a request."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from sfumato.request import GenerationRequest


class ImageRecord(BaseModel):
    """A picture on disk and how it came to be."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    path: Path
    seed: int
    width: int
    height: int
    infotext: str = Field(description="The A1111 'parameters' text stored in the file.")
    request: GenerationRequest = Field(
        description="The request with every field resolved; options that are at their defaults are left out."
    )


class GenerationResult(BaseModel):
    """The pictures of one request, and what making them took."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    images: tuple[ImageRecord, ...]
    sheet: Path | None = Field(
        default=None, description="All pictures on one, where the settings ask for it."
    )
    seconds: float = Field(
        ge=0, description="Wall time from request to last saved picture, loading included."
    )
    sampling_seconds: float = Field(default=0.0, ge=0, description="Wall time inside the sampling loop.")
    warnings: tuple[str, ...] = ()
