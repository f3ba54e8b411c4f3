"""The engine's settings; no tensor library is imported here."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sfumato.request.schema import shown
from sfumato_pictures.file_names import check_pattern

DTypeName = Literal["auto", "float32", "bfloat16", "float16"]
CfgBatching = Literal["auto", "batch", "two_passes"]
VaeTiling = Literal["auto", "always", "never"]
PreviewDecoder = Literal["auto", "colours", "taesd"]
SIMULATED = "simulated"
"""How the names of devices begin whose memory is counted, while the CPU computes."""
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?|simulated(:\d+(\.\d+)?(?i:[kmg]?b?))?")


class EngineSettings(BaseModel):
    """Where and how pictures are computed, and what is kept in memory."""

    model_config = ConfigDict(frozen=True)

    device: str = Field(
        default="auto",
        title="Device",
        description="'auto' takes the first GPU, else the CPU; or a torch device such as 'cuda:1'. "
        "'simulated:4GB' computes on the CPU as if on a device with so much memory.",
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
    preview_decoder: PreviewDecoder = Field(
        default="auto",
        title="Preview decoder",
        description="'taesd' draws previews by a small decoder in vae_approx, 'colours' by a projection that "
        "needs none; 'auto' takes the small decoder where there is one.",
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
    quantisation: str = Field(
        default="",
        title="Quantise weights",
        description="What plain weights of large layers are packed into while a model is loaded: 'nf4', "
        "'fp8_e4m3' ...; empty leaves them as they are stored.",
        json_schema_extra=shown(choices="quantisations"),
    )
    memory_budget: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        title="Memory budget",
        description="Megabytes of the device that weights and work may take; 0 for all that is free.",
        json_schema_extra=shown(unit="MB", advanced=True),
    )
    memory_reserve: int = Field(
        default=512,
        ge=0,
        le=10_000_000,
        title="Memory reserve",
        description="Megabytes of a GPU that are left to other programs.",
        json_schema_extra=shown(unit="MB", advanced=True),
    )
    keep_dequantised: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        title="Keep dequantised weights",
        description="Megabytes that plain numbers of quantised weights may take where memory allows: steps "
        "after the first are then as fast as with plain weights.",
        json_schema_extra=shown(unit="MB", advanced=True),
    )
    idle_minutes: float = Field(
        default=30.0,
        ge=0,
        le=100_000,
        title="Free the device after",
        description="Minutes without work after which weights leave the device; 0 keeps them there.",
        json_schema_extra=shown(unit="min", advanced=True),
    )
    keep_conditioning: int = Field(
        default=16,
        ge=0,
        le=10000,
        title="Keep conditioning",
        description="Encoded prompts kept, so that a prompt used again is not encoded again.",
    )
    vae_tiling: VaeTiling = Field(
        default="auto",
        title="VAE tiling",
        description="Decode and encode in parts: slower, in far less memory; 'auto' does so where the whole "
        "does not fit.",
    )
    vae_tile: int = Field(
        default=512,
        ge=64,
        le=4096,
        title="VAE tile",
        description="Pixels along each side of a part; an autoencoder that can go by strips shows no seam.",
    )
    vae_overlap: int = Field(
        default=128,
        ge=0,
        le=1024,
        title="VAE tile overlap",
        description="Pixels that neighbouring tiles share, where tiles are needed.",
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
                "A device is auto, cpu, mps, cuda or xpu, the last two perhaps with a number (cuda:1), "
                "or simulated with a size (simulated:4GB)"
            )
        return name

    @field_validator("file_name")
    @classmethod
    def _known_placeholders(cls, pattern: str) -> str:
        return check_pattern(pattern)
