"""Many requests made of one: X/Y/Z grids, prompt matrices, prompts from a file, a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sfumato.request.generation import GenerationRequest
from sfumato.request.schema import Schema


class Axis(Schema):
    """What changes along one side of a grid."""

    field: str = Field(
        title="Field",
        description="A request field ('steps', 'hires.denoising_strength'), 'prompt_replace' (the first value "
        "is searched for and replaced by each), 'prompt_order', 'lora' or 'lora_weight'.",
    )
    values: tuple[str, ...] = Field(
        min_length=1,
        title="Values",
        description="Each as text; ranges are written as in A1111: 1-10, 1-10 (+3), 1-10 [4].",
    )


class GridRequest(Schema):
    """Pictures over one to three axes, drawn as labelled sheets and kept one by one.

    A grid that was cut short goes on where it was: what is in the output folder already is not drawn again.
    """

    base: GenerationRequest = Field(title="Request", description="What all pictures have in common.")
    x: Axis | None = Field(default=None, title="X axis", description="What changes from column to column.")
    y: Axis | None = Field(default=None, title="Y axis", description="What changes from row to row.")
    z: Axis | None = Field(default=None, title="Z axis", description="What changes from sheet to sheet.")
    kind: Literal["xyz", "matrix", "prompts", "folder"] = Field(
        default="xyz",
        title="Kind",
        description="'xyz' by the axes; 'matrix' by the parts of the prompt between |; 'prompts' by the lines "
        "of a file; 'folder' by the pictures in one.",
    )
    source: Path | None = Field(
        default=None, title="Source", description="The file of prompts, or the folder of pictures."
    )
    masks: Path | None = Field(
        default=None, title="Masks", description="A folder of masks named as the pictures are."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, title="Options", description="Fine settings of the kind."
    )
    legend: bool = Field(default=True, title="Draw legend", description="Label columns, rows and sheets.")
    margin: int = Field(
        default=0, ge=0, le=500, title="Margin", description="Pixels between the pictures of a sheet."
    )
    keep_seeds: bool = Field(
        default=True, title="Keep seeds", description="Give all pictures of the grid the same seed."
    )
