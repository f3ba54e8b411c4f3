"""The settings of adapters; no tensor library is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sfumato.tasks import TaskContext

How = Literal["auto", "merge", "on_the_fly"]


class AdapterSettings(BaseModel):
    """How adapters act on a model, and what is kept in memory."""

    model_config = ConfigDict(frozen=True)

    how: How = Field(
        default="auto",
        title="How LoRAs act",
        description="'merge' adds them to copies of the weights, 'on_the_fly' computes them beside the "
        "layers; 'auto' chooses by cost and free memory.",
    )
    keep_megabytes: int = Field(
        default=2048,
        ge=0,
        le=1_000_000,
        title="Keep merged weights",
        description="Megabytes of merged weights kept for the next picture once no prompt asks for them.",
    )
    keep_files: int = Field(
        default=16,
        ge=0,
        le=1000,
        title="Keep files",
        description="LoRA files kept open a model, so that they are not read again.",
    )
    read_pickles: bool = Field(
        default=False,
        title="Read pickle files",
        description="Read embeddings that end with .pt and .bin too; only tensors are taken from them. "
        "Off by default, for files of this kind can run programs.",
        json_schema_extra={"guarded": True},
    )


def settings_of(context: TaskContext) -> AdapterSettings:
    """The settings in force."""
    settings: AdapterSettings = context.settings.adapters
    return settings
