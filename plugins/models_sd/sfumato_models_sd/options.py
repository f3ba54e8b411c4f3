"""Every knob of the UNet families in one schema: command line, docs and forms are made from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ComputeType = Literal["auto", "float32", "bfloat16", "float16"]
LARGEST = 16384


def _group(name: str, **roles: Any) -> dict[str, Any]:
    """Where a form or a help page shows the field, and what the engine does with it.

    `parts` are the kinds of parts whose compute type it is, `encodes` marks what changes the conditioning.
    """
    return {"group": name, **roles}


def _size(title: str, description: str) -> Any:
    return Field(
        default=None,
        ge=0,
        le=LARGEST,
        title=title,
        description=description,
        json_schema_extra=_group("SDXL"),
    )


class SdOptions(BaseModel):
    """Settings of Stable Diffusion 1.x, 2.x and XL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: Literal["auto", "eps", "v"] = Field(
        default="auto",
        title="Prediction",
        description=(
            "What the model predicts: noise (eps) or velocity (v). 'auto' goes by the checkpoint; choose "
            "where pictures come out as noise or grey, which means that it is the other one."
        ),
        json_schema_extra=_group("Noise schedule"),
    )
    zero_snr: bool = Field(
        default=False,
        title="Zero terminal SNR",
        description=(
            "Begin at pure noise, for models trained so (NoobAI v-prediction, CosXL-like); "
            "switched on by itself where the checkpoint says so."
        ),
        json_schema_extra=_group("Noise schedule"),
    )
    original_width: int | None = _size(
        "Original width",
        "Width in pixels that SDXL takes for the picture's before any cropping; open: its own.",
    )
    original_height: int | None = _size(
        "Original height",
        "Height in pixels that SDXL takes for the picture's before any cropping; open: its own.",
    )
    crop_left: int = Field(
        default=0,
        ge=0,
        le=LARGEST,
        title="Crop left",
        description="Pixels that SDXL takes to be cut off at the left; 0 centres what is drawn.",
        json_schema_extra=_group("SDXL"),
    )
    crop_top: int = Field(
        default=0,
        ge=0,
        le=LARGEST,
        title="Crop top",
        description="Pixels that SDXL takes to be cut off at the top; 0 centres what is drawn.",
        json_schema_extra=_group("SDXL"),
    )
    target_width: int | None = _size(
        "Target width", "Width in pixels that SDXL is asked for; open: the picture's."
    )
    target_height: int | None = _size(
        "Target height", "Height in pixels that SDXL is asked for; open: the picture's."
    )
    aesthetic_score: float = Field(
        default=6.0,
        ge=0,
        le=100,
        title="Aesthetic score",
        description="Score out of 10 that SDXL's refiner aims for.",
        json_schema_extra=_group("SDXL"),
    )
    negative_aesthetic_score: float = Field(
        default=2.5,
        ge=0,
        le=100,
        title="Negative aesthetic score",
        description="Score out of 10 that SDXL's refiner steers away from.",
        json_schema_extra=_group("SDXL"),
    )
    zero_empty_negative: bool = Field(
        default=True,
        title="Zero empty negative prompt",
        description=(
            "Give SDXL zeros for an empty negative prompt, as AUTOMATIC1111 and diffusers do, "
            "in place of the encoded empty text, as ComfyUI does."
        ),
        json_schema_extra=_group("SDXL", encodes=True),
    )
    unet_dtype: ComputeType = Field(
        default="auto",
        title="UNet computes in",
        description="Number type of the UNet; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["unet"]),
    )
    text_dtype: ComputeType = Field(
        default="auto",
        title="Text encoders compute in",
        description="Number type of the text encoders; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["clip_text", "clip_g_text", "open_clip_text"]),
    )
    vae_dtype: ComputeType = Field(
        default="auto",
        title="VAE computes in",
        description="Number type of the autoencoder; 'auto' suits the device and the stored weights.",
        json_schema_extra=_group("Memory", parts=["autoencoder"]),
    )
