"""Every knob of the SD3 family in one schema: command line, docs and forms are made from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ComputeType = Literal["auto", "float32", "bfloat16", "float16"]
SHIFT = 3.0
"""The time shift that all published models were made for."""


def _group(name: str, **roles: Any) -> dict[str, Any]:
    """Where a form or a help page shows the field, and what the engine does with it.

    `parts` are the kinds of parts whose compute type it is, `encodes` marks what changes the conditioning.
    """
    return {"group": name, **roles}


class Sd3Options(BaseModel):
    """Settings of Stable Diffusion 3 and 3.5."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: float = Field(
        default=SHIFT,
        gt=0,
        le=100,
        title="Shift",
        description="Time shift: above 1 spends more steps on composition, 1 is none.",
        json_schema_extra=_group("Noise schedule"),
    )
    t5_length: int = Field(
        default=256,
        ge=1,
        le=4096,
        title="T5 length",
        description=(
            "Tokens of the prompt that the T5 encoder sees; shorter prompts are padded, longer ones cut. "
            "Stable Diffusion 3 was trained on 77, 3.5 on 77 and 256."
        ),
        json_schema_extra=_group("Prompt", encodes=True),
    )
    transformer_dtype: ComputeType = Field(
        default="auto",
        title="Transformer computes in",
        description="Number type of the transformer; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["transformer"]),
    )
    text_dtype: ComputeType = Field(
        default="auto",
        title="Text encoders compute in",
        description="Number type of both CLIPs and T5; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["clip_text", "clip_g_text", "t5_encoder"]),
    )
    vae_dtype: ComputeType = Field(
        default="auto",
        title="VAE computes in",
        description="Number type of the autoencoder; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["autoencoder"]),
    )
