"""Every knob of the family in one schema: command line, docs and forms are made from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ComputeType = Literal["auto", "float32", "bfloat16", "float16"]


def _group(name: str, **roles: Any) -> dict[str, Any]:
    return {"group": name, **roles}


class DiffusersOptions(BaseModel):
    """Settings of models that diffusers runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        title="Shift",
        description=(
            "Static time shift: above 1 spends more steps on composition, 1 is none. "
            "Left open, it is what the model's own scheduler prescribes."
        ),
        json_schema_extra=_group("Noise schedule"),
    )
    text_length: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        title="Text length",
        description="Tokens of the prompt that are read at most. Left open, what the model is made for.",
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
        title="Text encoder computes in",
        description="Number type of the text encoder; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["text_encoder"]),
    )
    vae_dtype: ComputeType = Field(
        default="auto",
        title="VAE computes in",
        description="Number type of the autoencoder; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["autoencoder"]),
    )
