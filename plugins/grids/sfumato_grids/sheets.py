"""Sheets of a grid: one for each value of the Z axis and one of all, with labels beside rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.errors import BadInput
from sfumato.events import ImageSaved, PhaseStarted
from sfumato.records import ImageRecord
from sfumato.request import GridRequest
from sfumato.tasks import TaskContext
from sfumato_grids.empty_tile import empty_tile
from sfumato_grids.journal import Journal, sheet_key
from sfumato_grids.naming import saving_settings
from sfumato_grids.plan import Plan
from sfumato_grids.records import GridCell
from sfumato_pictures import infotext
from sfumato_pictures.metadata import PARAMETERS
from sfumato_pictures.reading import read_picture
from sfumato_pictures.sheet import Legends, check_size, labelled_sheet
from sfumato_pictures.writer import PictureWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Warn = Callable[[Iterable[str]], None]


def draw_sheets(
    plan: Plan,
    cells: Sequence[GridCell],
    request: GridRequest,
    journal: Journal,
    context: TaskContext,
    warn: Warn,
) -> tuple[ImageRecord, ...]:
    """Draw and save the sheets, as far as the settings want them saved.

    One that would be too large is told and left out; the pictures are there all the same.
    """
    if not saving_settings(context).save_grids or not any(cell.images for cell in cells):
        return ()
    context.events.emit(PhaseStarted(phase="drawing", detail="sheets"))
    sheets = _Sheets(plan, request, journal, context, warn)
    by_sheet: list[list[GridCell]] = [[] for _ in plan.sheets]
    for cell in cells:
        by_sheet[cell.sheet].append(cell)
    with_whole = len(plan.sheets) > 1 and sheets.have_room(cells, len(plan.sheets))
    records, kept = [], []
    for of_one in by_sheet:
        record, pixels = sheets.of(of_one)
        records.append(record)
        kept.append(pixels if with_whole else None)
    if with_whole:
        records.append(sheets.of_all(kept, cells))
    return tuple(record for record in records if record)


@dataclass(frozen=True)
class _Sheets:
    plan: Plan
    request: GridRequest
    journal: Journal
    context: TaskContext
    warn: Warn

    def have_room(self, cells: Sequence[GridCell], side_by_side: int = 1) -> bool:
        """Whether sheets of these cells are small enough; asked before any picture is read, and told."""
        sizes = [(cell.images[0].width, cell.images[0].height) for cell in cells if cell.images]
        width = max(width for width, _ in sizes) * len(self.plan.columns) * side_by_side
        height = max(height for _, height in sizes) * len(self.plan.rows)
        try:
            check_size(width, height, saving_settings(self.context).grid_megapixels)
        except BadInput as error:
            self.warn([str(error)])
            return False
        return True

    def of(self, cells: Sequence[GridCell]) -> tuple[ImageRecord | None, NDArray[np.uint8] | None]:
        """The sheet of one value of the Z axis, and its pixels for the sheet of all."""
        self.context.cancel.check()
        first = next((cell.images[0] for cell in cells if cell.images), None)
        if first is None or not self.have_room(cells):
            return None, None
        tiles = self._tiles(cells, (first.width, first.height))
        legends = self._legends(self.plan.columns, self.plan.rows)
        pixels = self._sheet(tiles, len(self.plan.columns), legends, self.request.margin)
        if pixels is None:
            return None, None
        return self._saved(pixels, first, cells, self.plan.fields), pixels

    def of_all(
        self, sheets: Sequence[NDArray[np.uint8] | None], cells: Sequence[GridCell]
    ) -> ImageRecord | None:
        """The sheets of all values of the Z axis side by side."""
        if all(sheet is None for sheet in sheets):
            return None
        first = next(cell.images[0] for cell in cells if cell.images)
        legends = self._legends(self.plan.sheets)
        pixels = self._sheet(sheets, len(sheets), legends, 0)
        fields = {**self.plan.fields, **self.plan.whole_fields}
        return None if pixels is None else self._saved(pixels, first, cells, fields)

    def _legends(self, columns: Sequence[str], rows: Sequence[str] = ()) -> Legends | None:
        """Labels, or none where they say nothing."""
        if not self.request.legend:
            return None
        font = saving_settings(self.context).grid_font
        return Legends(columns if any(columns) else (), rows if any(rows) else (), font=font)

    def _sheet(
        self,
        tiles: Sequence[NDArray[np.uint8] | None],
        columns: int,
        legends: Legends | None,
        margin: int,
    ) -> NDArray[np.uint8] | None:
        try:
            return labelled_sheet(
                tiles,
                columns=columns,
                legends=legends,
                margin=margin,
                largest_megapixels=saving_settings(self.context).grid_megapixels,
            )
        except BadInput as error:
            self.warn([str(error)])
            return None

    def _tiles(self, cells: Sequence[GridCell], size: tuple[int, int]) -> list[NDArray[np.uint8] | None]:
        width = len(self.plan.columns)
        tiles: list[NDArray[np.uint8] | None] = [None] * (width * len(self.plan.rows))
        for cell in cells:
            tiles[cell.row * width + cell.column] = self._tile(cell, size)
        return tiles

    def _tile(self, cell: GridCell, size: tuple[int, int]) -> NDArray[np.uint8]:
        if not cell.images:
            return empty_tile(size, cell.error)
        try:
            return read_picture(cell.images[0].path).pixels
        except BadInput as error:  # taken away or damaged in the meantime
            return empty_tile(size, str(error))

    def _saved(
        self,
        pixels: NDArray[np.uint8],
        first: ImageRecord,
        cells: Sequence[GridCell],
        fields: Mapping[str, str],
    ) -> ImageRecord | None:
        """Saved, or found from an earlier run."""
        about = (
            f"{self.request.legend} {self.request.margin} {sorted(fields.items())} {len(self.plan.sheets)}"
        )
        key = sheet_key([_identity(cell) for cell in cells], about)
        before = self.journal.finished(key)
        if before:
            return before[0]
        settings = saving_settings(self.context)
        settings = settings.model_copy(update={"file_name": f"{self.plan.file_name}-[seed]"})
        writer = PictureWriter(self.context.output_folder, settings)
        text = sheet_text(first.infotext, {"Script": self.plan.script, **fields})
        known = {"seed": first.seed, "prompt": first.request.prompt, "model": first.request.model}
        saved = writer.save(pixels, {PARAMETERS: text}, known, format=settings.grid_format)
        self.warn(saved.warnings)
        height, width = pixels.shape[:2]
        update = {"path": saved.path, "width": width, "height": height, "infotext": text}
        record = first.model_copy(update=update)
        self.journal.finish(key, [record])
        self.context.events.emit(ImageSaved(image=record))
        return record


def sheet_text(first: str, fields: Mapping[str, str]) -> str:
    """The infotext of the first picture with fields of the grid in it."""
    text = infotext.read(first)
    return infotext.write(text.prompt, text.negative_prompt, {**text.fields, **fields})


def _identity(cell: GridCell) -> str:
    """Equal for cells that look the same on a sheet."""
    return str(cell.images[0].path) if cell.images else cell.error
