"""Every knob of the Chroma family in one schema: command line, docs and forms are made from it."""

from __future__ import annotations

from pydantic import Field

from sfumato_models_flux.options import ComputeType, LayoutOptions, group


class ChromaOptions(LayoutOptions):
    """Settings of Chroma models.

    Classifier-free guidance is the request's `cfg_scale`, as for every family.
    """

    shift: float | None = Field(
        default=3.0,
        gt=0,
        le=100,
        title="Shift",
        description=(
            "Static time shift: above 1 spends more steps on composition, 1 is none. "
            "Null lets it grow with the picture's size."
        ),
        json_schema_extra=group("Noise schedule"),
    )
    t5_length: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        title="T5 length",
        description=(
            "Tokens of the prompt that the T5 encoder sees; longer prompts are cut. "
            "Left open: 512, or less where the tokenizer says so."
        ),
        json_schema_extra=group("Prompt", encodes=True),
    )
    text_dtype: ComputeType = Field(
        default="auto",
        title="Text encoder computes in",
        description="Number type of T5; 'auto' suits the device and the stored weights.",
        json_schema_extra=group("Memory", parts=["t5_encoder"]),
    )
