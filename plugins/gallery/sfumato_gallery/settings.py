"""Settings of the gallery."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class GallerySettings(BaseModel):
    """Which pictures are shown, and how."""

    model_config = ConfigDict(frozen=True)

    folders: tuple[Path, ...] = Field(
        default=(),
        title="More folders",
        description="Shown beside the output folder, such as those of another program.",
    )
    trash_days: int = Field(
        default=30, ge=0, le=3650, title="Keep trash", description="Days in the trash; 0 is for ever."
    )
    thumbnail_megabytes: int = Field(
        default=500,
        ge=10,
        le=100_000,
        title="Room for thumbnails",
        description="In MB; the least recently seen ones are deleted beyond it.",
    )
