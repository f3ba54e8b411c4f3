"""What the checkpoints of this family are, and what can be chosen. Imports no tensor library."""

from __future__ import annotations

from pydantic import BaseModel, Field

from sfumato.errors import CheckpointError
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, LoadedModel, ModelInfo, PartInfo, Placement
from sfumato.request import RequestDefaults

COLOURS = "swatch.colours"
SPREAD = "swatch.spread"


class SwatchOptions(BaseModel):
    """The knobs of the family: options of ``sfumato generate``, and fields of forms."""

    variety: float = Field(
        default=1.0, ge=0, le=10, title="Variety", description="How far colours may stray from the words."
    )


class SwatchFamily:
    """Fulfils `sfumato.models.ModelFamily`."""

    options: type[BaseModel] = SwatchOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """What this checkpoint is, from names and shapes alone; None when it is another family's.

        Raises:
            CheckpointError: it is of this family and cannot be right.
        """
        shapes = header.shapes
        if COLOURS not in shapes or SPREAD not in shapes:
            return None
        colours = shapes[COLOURS]
        if len(colours) != 2 or colours[0] < 1 or colours[1] != 3 or shapes[SPREAD] != ():
            raise CheckpointError(
                f"'{header.path.name}' is damaged.",
                why=f"'{COLOURS}' has the shape {list(colours)}, '{SPREAD}' {list(shapes[SPREAD])}.",
                hint="Its colours are [words, 3], its spread is one number. Get the file again.",
            )
        part = PartInfo(
            kind="transformer",
            dtype=header.tensors[COLOURS].dtype,
            parameters=3 * colours[0] + 1,
            size_bytes=sum(tensor.size_bytes for tensor in header.tensors.values()),
        )
        return ModelInfo(
            name=header.path.stem,
            family="swatch",
            label="Swatch",
            path=header.path,
            layout=header.layout,
            format=header.format,
            prediction="flow",
            sizes={"words": colours[0]},
            parts=(part,),
            defaults=RequestDefaults(steps=8, scheduler="flow", width=64, height=64),
            ignores=("clip_skip", "tiling"),
        )

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model; only now is the tensor library imported."""
        from sfumato_swatch.model import SwatchModel

        tensors = library.open_tensors(info.path)
        return SwatchModel(info, tensors[COLOURS], tensors[SPREAD], placement.device)
