"""What comes back of a grid, and what is told while it is drawn."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sfumato.events import PhaseStarted
from sfumato.records import ImageRecord


class GridCell(BaseModel):
    """One cell and its pictures."""

    model_config = ConfigDict(frozen=True)

    column: int
    row: int
    sheet: int
    labels: tuple[str, ...]
    images: tuple[ImageRecord, ...] = Field(
        default=(), description="Empty where it could not be drawn; sheets show the first one."
    )
    error: str = Field(default="", description="Why it could not be drawn.")
    from_before: bool = Field(default=False, description="Whether an earlier run had drawn it.")


class GridResult(BaseModel):
    """The pictures of a grid, cell by cell in the order asked for, and its sheets."""

    model_config = ConfigDict(frozen=True)

    cells: tuple[GridCell, ...]
    sheets: tuple[ImageRecord, ...] = Field(
        default=(), description="One for each value of the Z axis, then one of all of them."
    )
    seconds: float = Field(ge=0, description="Wall time from the request to the last sheet.")
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[GridCell, ...]:
        """The cells that could not be drawn."""
        return tuple(cell for cell in self.cells if cell.error)


class GridProgress(PhaseStarted):
    """A cell is about to be drawn; listeners that do not know of grids see a phase."""

    phase: str = "drawing"
    cell: int = Field(description="Of those to be drawn in this run, from 1.")
    cells: int = Field(description="To be drawn in this run.")
    labels: tuple[str, ...] = ()
    seconds_left: float | None = Field(default=None, description="Estimate for the whole grid.")
