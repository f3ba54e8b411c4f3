"""Pictures made from pictures: img2img, inpainting, soft inpainting, outpainting."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from sfumato.request.schema import Schema, shown

ResizeMode = Literal["stretch", "crop", "fill", "latent"]
MaskedContent = Literal["original", "fill", "latent_noise", "latent_nothing"]
InpaintArea = Literal["whole_picture", "only_masked"]


class Img2Img(Schema):
    """The picture to start from."""

    image: Path = Field(
        title="Picture",
        description="The picture to start from: PNG, JPEG, WebP or AVIF.",
        json_schema_extra=shown(picture=True),
    )
    denoising_strength: float = Field(
        default=0.75,
        ge=0,
        le=1,
        title="Denoising strength",
        description="How much may change: 0 nothing, 1 everything. This share of the steps is run.",
        json_schema_extra=shown(step=0.01),
    )
    resize_mode: ResizeMode = Field(
        default="stretch",
        title="Resize mode",
        description="How the picture comes to the asked size: 'stretch' it, 'crop' what sticks out, 'fill' "
        "what is missing with its edges, or stretch its 'latent'.",
    )
    all_steps: bool = Field(
        default=False,
        title="All steps",
        description="Run as many steps as are asked for, not only the share of the denoising strength.",
        json_schema_extra=shown(advanced=True),
    )
    noise_multiplier: float = Field(
        default=1.0,
        ge=0,
        le=1.5,
        title="Noise multiplier",
        description="Scales the noise that is mixed into the picture; a little below 1 keeps it smoother.",
        json_schema_extra=shown(advanced=True, step=0.01),
    )
    color_correction: bool = Field(
        default=False,
        title="Color correction",
        description="Give the result the colours of the picture it was made from.",
        json_schema_extra=shown(advanced=True),
    )
    background: str = Field(
        default="#ffffff",
        pattern="^#[0-9a-fA-F]{6}$",
        title="Background",
        description="What transparent parts of the picture are laid on, as #rrggbb.",
        json_schema_extra=shown(advanced=True),
    )


class SoftInpaint(Schema):
    """Soft inpainting: a mask's greys decide how much may change, and when in the course of the steps.

    The fields are those of A1111's script, whose infotext keys are the titles behind "Soft inpainting ".
    """

    schedule_bias: float = Field(
        default=1.0,
        ge=0,
        le=8,
        title="Schedule bias",
        description="When the picture beneath is kept: above 1 later, below 1 earlier in the steps.",
        json_schema_extra=shown(step=0.1),
    )
    preservation_strength: float = Field(
        default=0.5,
        ge=0,
        le=8,
        title="Preservation strength",
        description="How strongly half-masked content is kept.",
        json_schema_extra=shown(step=0.1),
    )
    transition_contrast_boost: float = Field(
        default=4.0,
        ge=1,
        le=32,
        title="Transition contrast boost",
        description="Restores the contrast that blending takes; higher gives sharper transitions.",
        json_schema_extra=shown(step=0.1),
    )
    mask_influence: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Mask influence",
        description="How much the mask, beside the differences found, shapes what is kept in the end.",
        json_schema_extra=shown(step=0.05),
    )
    difference_threshold: float = Field(
        default=0.5,
        ge=0,
        le=8,
        title="Difference threshold",
        description="How much must have changed before the old picture shows through no more.",
        json_schema_extra=shown(step=0.1),
    )
    difference_contrast: float = Field(
        default=2.0,
        ge=0,
        le=8,
        title="Difference contrast",
        description="How sharp the border between kept and changed content is.",
        json_schema_extra=shown(step=0.1),
    )


class Inpaint(Schema):
    """Which part of the start picture is painted anew."""

    mask: Path = Field(
        title="Mask",
        description="A picture of the same proportions: white is painted anew.",
        json_schema_extra=shown(picture=True, mask=True),
    )
    invert: bool = Field(default=False, title="Invert mask", description="Paint anew what is black instead.")
    blur: float = Field(
        default=4.0,
        ge=0,
        le=256,
        title="Mask blur",
        description="Softens the mask's edge, in pixels.",
        json_schema_extra=shown(unit="pixels"),
    )
    content: MaskedContent = Field(
        default="original",
        title="Masked content",
        description="What the masked part starts from: the 'original', a 'fill' of the colours around it, "
        "'latent_noise' or 'latent_nothing'.",
    )
    area: InpaintArea = Field(
        default="whole_picture",
        title="Inpaint area",
        description="Draw the 'whole_picture', or 'only_masked': the masked part alone, at the full size "
        "asked for, and set it back.",
    )
    padding: int = Field(
        default=32,
        ge=0,
        le=4096,
        title="Only masked padding",
        description="Pixels around the masked part that are seen too when it is drawn alone.",
        json_schema_extra=shown(unit="pixels", step=4),
    )
    conditioning_mask_weight: float = Field(
        default=1.0,
        ge=0,
        le=1,
        title="Conditional mask weight",
        description="For inpainting checkpoints: how far the picture they see is masked.",
        json_schema_extra=shown(advanced=True, step=0.05),
    )
    soft: SoftInpaint | None = Field(
        default=None,
        title="Soft inpainting",
        description="Blend by the greys of the mask, step by step.",
    )


class Outpaint(Schema):
    """How far the start picture is carried on beyond its edges, in pixels.

    The result is as large as the picture and what is added, to the pixel; it is drawn a little larger where
    the model needs it.
    """

    left: int = Field(
        default=0,
        ge=0,
        le=8192,
        title="Left",
        description="Pixels to the left.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    right: int = Field(
        default=0,
        ge=0,
        le=8192,
        title="Right",
        description="Pixels to the right.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    top: int = Field(
        default=0,
        ge=0,
        le=8192,
        title="Top",
        description="Pixels above.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    bottom: int = Field(
        default=0,
        ge=0,
        le=8192,
        title="Bottom",
        description="Pixels below.",
        json_schema_extra=shown(unit="pixels", step=8),
    )
    blur: float = Field(
        default=8.0,
        ge=0,
        le=256,
        title="Mask blur",
        description="Softens the seam, in pixels.",
        json_schema_extra=shown(unit="pixels", advanced=True),
    )
    content: MaskedContent = Field(
        default="fill",
        title="New content",
        description="What the new part starts from: a 'fill' of the edge's colours, 'latent_noise' or "
        "'latent_nothing'; 'original' repeats the edge.",
    )
