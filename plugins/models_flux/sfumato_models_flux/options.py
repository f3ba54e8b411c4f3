"""Every knob of the Flux family in one schema: command line, docs and forms are made from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ComputeType = Literal["auto", "float32", "bfloat16", "float16"]


def group(name: str, **roles: Any) -> dict[str, Any]:
    """Where a form or a help page shows the field, and what the engine does with it.

    `infotext` is the field's key in a picture's infotext (for the `variants` named), `parts` are the kinds of
    parts whose compute type it is, `encodes` marks what changes the conditioning.
    """
    return {"group": name, **roles}


class LayoutOptions(BaseModel):
    """Settings of all models of Flux's layout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: float | None = Field(
        default=None,
        gt=0,
        le=100,
        title="Shift",
        description=(
            "Static time shift: above 1 spends more steps on composition, 1 is none. "
            "Left open, it grows with the picture's size, except for schnell, which has none."
        ),
        json_schema_extra=group("Noise schedule"),
    )
    base_shift: float = Field(
        default=0.5,
        ge=-10,
        le=10,
        title="Base shift",
        description="Logarithm of the shift at 256x256 pixels where the shift is left open.",
        json_schema_extra=group("Noise schedule"),
    )
    max_shift: float = Field(
        default=1.15,
        ge=-10,
        le=10,
        title="Maximum shift",
        description="Logarithm of the shift at 1024x1024 pixels where the shift is left open.",
        json_schema_extra=group("Noise schedule"),
    )
    t5_length: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        title="T5 length",
        description=(
            "Tokens of the prompt that the T5 encoder sees; shorter prompts are padded, longer ones cut. "
            "Left open: 256 for schnell, 512 for others, or less where the tokenizer says so."
        ),
        json_schema_extra=group("Prompt", encodes=True),
    )
    transformer_dtype: ComputeType = Field(
        default="auto",
        title="Transformer computes in",
        description="Number type of the transformer; 'auto' suits the device and the stored weights.",
        json_schema_extra=group("Memory", parts=["transformer"]),
    )
    text_dtype: ComputeType = Field(
        default="auto",
        title="Text encoders compute in",
        description="Number type of CLIP and T5; 'auto' suits the device and the stored weights.",
        json_schema_extra=group("Memory", parts=["clip_text", "t5_encoder"]),
    )
    vae_dtype: ComputeType = Field(
        default="auto",
        title="VAE computes in",
        description="Number type of the autoencoder; 'auto' suits the device and the stored weights.",
        json_schema_extra=group("Memory", parts=["autoencoder"]),
    )


class DistilledGuidance(BaseModel):
    """The setting of models distilled from guided ones."""

    guidance: float = Field(
        default=3.5,
        ge=0,
        le=100,
        title="Distilled guidance",
        description="Guidance value for models distilled from guided ones (Flux.1 dev); others ignore it.",
        json_schema_extra=group("Guidance", infotext="Distilled CFG Scale", variants=["dev", "fill"]),
    )


class FluxOptions(LayoutOptions, DistilledGuidance):  # fields of the last come first
    """Settings of Flux models.

    True classifier-free guidance is not among them: it is the request's `cfg_scale`, as for every family.
    Flux.1 dev and schnell are made for a CFG scale of 1; undistilled models need more.
    """
