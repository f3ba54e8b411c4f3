"""The engine's settings; no tensor library is imported here."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sfumato_pictures.file_names import check_pattern

DTypeName = Literal["auto", "float32", "bfloat16", "float16"]
CfgBatching = Literal["auto", "batch", "two_passes"]
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


class EngineSettings(BaseModel):
    """Where and how pictures are computed, and what is kept in memory."""

    model_config = ConfigDict(frozen=True)

    device: str = Field(
        default="auto",
        title="Device",
        description="'auto' takes the first GPU, else the CPU; or a torch device such as 'cuda:1'.",
    )
    dtype: DTypeName = Field(
        default="auto",
        title="Compute type",
        description="'auto' leaves the choice to the model family; float16 is refused on a CPU.",
    )
    preview_every: int = Field(
        default=5,
        ge=0,
        le=1000,
        title="Preview every",
        description="Steps between live previews; 0 switches them off.",
    )
    cfg_batching: CfgBatching = Field(
        default="auto",
        title="CFG batching",
        description="Prompt and negative prompt in one batch or in two passes; 'auto' chooses by size.",
    )
    keep_models: int = Field(
        default=1,
        ge=0,
        le=16,
        title="Keep models",
        description="Loaded models kept ready for the next request.",
    )
    keep_conditioning: int = Field(
        default=16,
        ge=0,
        le=10000,
        title="Keep conditioning",
        description="Encoded prompts kept, so that a prompt used again is not encoded again.",
    )
    file_name: str = Field(
        default="",
        title="File name",
        description="The old place of saving.file_name, which it goes before; empty leaves names to that.",
    )

    @field_validator("device")
    @classmethod
    def _known_device(cls, name: str) -> str:
        """Only the spelling: whether the machine has it is known once torch is imported."""
        if not _DEVICE.fullmatch(name):
            raise ValueError(
                "A device is auto, cpu, mps, cuda or xpu, the last two perhaps with a number (cuda:1)"
            )
        return name

    @field_validator("file_name")
    @classmethod
    def _known_placeholders(cls, pattern: str) -> str:
        return check_pattern(pattern)
