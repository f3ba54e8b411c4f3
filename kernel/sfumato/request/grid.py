"""Many requests made of one: X/Y/Z grids, prompt matrices, lists of prompts, folders of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from sfumato.request.generation import GenerationRequest
from sfumato.request.schema import Schema, shown

Seeds = Literal["same", "next", "random"]
TakenField = Literal["prompt", "negative_prompt", "seed", "cfg_scale", "sampler", "steps", "model"]


class Axis(Schema):
    """What changes along one side of a grid."""

    field: str = Field(
        title="Field",
        description="A request field ('steps', 'hires.denoising_strength', 'model_options.guidance') or its "
        "name in A1111 ('CFG Scale'), 'size' (512x768), 'prompt_replace' (the first value is sought and "
        "replaced by each), 'prompt_order', 'lora', 'lora_weight' or 'nothing'.",
        json_schema_extra=shown(choices="request_fields"),
    )
    values: tuple[str, ...] = Field(
        default=(),
        title="Values",
        description="Each as text; numbers may be ranges as in A1111: 1-10, 1-10 (+3), 1-10 [4].",
    )
    vary_seed: bool = Field(
        default=False, title="Vary seeds", description="Count the seed up from value to value."
    )


class PromptMatrix(Schema):
    """Every combination of the parts that stand behind | in the prompt."""

    of: Literal["prompt", "negative_prompt"] = Field(
        default="prompt", title="Select prompt", description="Which prompt has the parts."
    )
    at_start: bool = Field(
        default=False, title="Put variable parts at start", description="Before the part that always stays."
    )
    separator: Literal["comma", "space"] = Field(
        default="comma", title="Joining character", description="What stands between the parts."
    )


class PromptList(Schema):
    """A request a line, or a JSON list of them; what a line leaves open is as in the base request."""

    file: Path | None = Field(
        default=None,
        title="File",
        description="A prompt a line, or A1111's form '--prompt \"a cat\" --steps 20'; # begins a comment. "
        "A .json file holds a list of requests.",
        json_schema_extra=shown(text_file=True),
    )
    lines: tuple[str, ...] = Field(
        default=(),
        title="Lines",
        description="The same, without a file.",
        json_schema_extra=shown(lines=6),
    )
    position: Literal["start", "end"] = Field(
        default="start",
        title="Insert prompts at the",
        description="Whether a line's prompt goes before or behind that of the base request.",
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> PromptList:
        if (self.file is None) == (not self.lines):
            raise ValueError("prompts come either from a file or as lines")
        return self


class PictureFolder(Schema):
    """Every picture of a folder as a start picture; the results are named as these are."""

    folder: Path = Field(
        title="Folder",
        description="The pictures to start from.",
        json_schema_extra=shown(folder=True),
    )
    recursive: bool = Field(
        default=False,
        title="Recursive",
        description="Look into its folders too.",
        json_schema_extra=shown(advanced=True),
    )
    masks: Path | None = Field(
        default=None,
        title="Masks",
        description="A folder of masks named as the pictures are; one alone is for all of them.",
        json_schema_extra=shown(folder=True),
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        le=16,
        title="Resize by",
        description="Factor of each picture's own size, instead of width and height.",
    )
    take: tuple[TakenField, ...] = Field(
        default=(),
        title="Take from pictures",
        description="What each picture's infotext decides: prompts are added to those of the base request.",
    )
    texts: Path | None = Field(
        default=None,
        title="Folder of infotexts",
        description="Pictures of the same names whose infotexts are taken instead.",
        json_schema_extra=shown(folder=True, advanced=True),
    )


class GridRequest(Schema):
    """Many pictures over axes, a prompt's parts, a list of prompts or a folder; one by one and on sheets.

    One that was cut short goes on where it was: what is in the output folder already is not drawn again.
    """

    base: GenerationRequest = Field(title="Request", description="What all pictures have in common.")
    x: Axis | None = Field(default=None, title="X axis", description="What changes from column to column.")
    y: Axis | None = Field(default=None, title="Y axis", description="What changes from row to row.")
    z: Axis | None = Field(default=None, title="Z axis", description="What changes from sheet to sheet.")
    matrix: PromptMatrix | None = Field(
        default=None, title="Prompt matrix", description="Combine the parts of the prompt between |."
    )
    prompts: PromptList | None = Field(
        default=None, title="Prompts", description="Draw each prompt of a list."
    )
    pictures: PictureFolder | None = Field(
        default=None, title="Pictures", description="Draw each picture of a folder anew."
    )
    seeds: Seeds = Field(
        default="same",
        title="Seeds",
        description="'same' for all, the 'next' one for each, or a 'random' one for each where it is open.",
    )
    sheets: bool | None = Field(
        default=None,
        title="Draw sheets",
        description="All pictures on one; by default, for axes and matrices.",
    )
    legend: bool = Field(
        default=True,
        title="Draw legend",
        description="Label columns, rows and sheets.",
        json_schema_extra=shown(advanced=True),
    )
    margin: int = Field(
        default=0,
        ge=0,
        le=500,
        title="Margin",
        description="Pixels between the pictures of a sheet.",
        json_schema_extra=shown(unit="pixels", advanced=True),
    )
    resume: bool = Field(
        default=True,
        title="Resume",
        description="Keep what is in the output folder from before; otherwise all is drawn anew.",
        json_schema_extra=shown(advanced=True),
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> GridRequest:
        kinds = (self.x or self.y or self.z, self.matrix, self.prompts, self.pictures)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a grid has either axes, or a prompt matrix, or prompts, or pictures")
        return self
