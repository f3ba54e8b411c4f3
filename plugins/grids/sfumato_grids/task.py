"""The task 'grid': many pictures of one request, each drawn by the task 'generate'."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from sfumato.errors import Cancelled, SfumatoError
from sfumato.events import Warned
from sfumato.records import GenerationResult, ImageRecord
from sfumato.request import GridRequest
from sfumato.tasks import Task, TaskContext
from sfumato.watchdog import in_one_line
from sfumato_grids.checks import problems_with_names
from sfumato_grids.journal import Journal, cell_key
from sfumato_grids.matrix import plan_matrix
from sfumato_grids.naming import named
from sfumato_grids.order import in_order_of_cost
from sfumato_grids.orphans import saved_unnoticed
from sfumato_grids.picture_folder import plan_pictures
from sfumato_grids.plan import Cell, Plan, refuse
from sfumato_grids.prompt_list import plan_prompts
from sfumato_grids.records import GridCell, GridProgress, GridResult
from sfumato_grids.seeds import SeedSource
from sfumato_grids.sheets import draw_sheets
from sfumato_grids.xyz import plan_axes

log = logging.getLogger(__name__)


def draw_grid(request: GridRequest, context: TaskContext) -> GridResult:
    """Draw all cells, then the sheets; what an earlier run has left in the output folder is kept.

    A cell that fails is told and leaves its place empty; the others are drawn.

    Raises:
        BadInput: a field, value, file or name cannot be; all are told, and nothing was drawn.
        Cancelled: stopped by the user; finished pictures are kept, and the next run goes on there.
        SfumatoError: nothing can be written into the output folder, or another run draws the same grid there.
    """
    started = time.monotonic()
    journal = Journal.of(request, context.output_folder)
    plan = make_plan(request, context, journal.seeds)
    refuse([*plan.problems, *problems_with_names(plan.cells, context)])
    drawing = GridDrawing(plan, journal, context)
    sheets: tuple[ImageRecord, ...] = ()
    with journal.held():
        cells = drawing.run()
        if plan.has_sheets:
            sheets = draw_sheets(plan, cells, request, journal, context, drawing.warn)
    seconds = time.monotonic() - started
    return GridResult(cells=cells, sheets=sheets, seconds=seconds, warnings=tuple(drawing.warnings))


def make_plan(request: GridRequest, context: TaskContext, seeds: SeedSource) -> Plan:
    """The cells of a grid. Raises `BadInput`."""
    if request.matrix:
        return plan_matrix(request, request.matrix, seeds)
    if request.prompts:
        return plan_prompts(request, request.prompts, seeds)
    if request.pictures:
        return plan_pictures(request, request.pictures, context.output_folder, seeds)
    return plan_axes(request, seeds)


class Pace:
    """How long the rest takes, by the cells after the first one, which loads the model.

    Args:
        total: Cells to be drawn.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._since = 0.0

    def seconds_left(self, done: int) -> float | None:
        """None until two cells are drawn; to be asked after each."""
        if done < 2:
            self._since = time.monotonic()
            return None
        return (time.monotonic() - self._since) / (done - 1) * (self._total - done)


class GridDrawing:
    """The cells of one grid being drawn.

    Attributes:
        warnings: What the user was told so far.
    """

    def __init__(self, plan: Plan, journal: Journal, context: TaskContext) -> None:
        self.warnings: list[str] = []
        self._cells = plan.cells
        self._keys = [cell_key(cell.request) for cell in plan.cells]
        self._journal = journal
        # What an earlier attempt has finished is in the journal, cell by cell.
        self._context = replace(context, finished=())
        self._generate: Task = context.registries.tasks.get("generate").load()

    def run(self) -> tuple[GridCell, ...]:
        """Each cell's pictures; raises `Cancelled` between steps, with those of earlier cells saved."""
        self._take_unnoticed()
        before = {key for key in self._keys if self._journal.finished(key)}
        if before:
            kept = sum(key in before for key in self._keys)
            again = "--fresh draws them anew"
            self.warn([f"{kept} of {len(self._keys)} cells were drawn before and are kept; {again}."])
        errors: dict[str, str] = {}
        self._draw(before, errors)
        return tuple(
            self._told(cell, key, errors, before) for cell, key in zip(self._cells, self._keys, strict=True)
        )

    def warn(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.warnings.append(message)
            self._context.events.emit(Warned(message=message))

    def _take_unnoticed(self) -> None:
        """Pictures that a crash has hidden from the journal."""
        begun, journal = self._journal.begun, self._journal
        if begun is None or begun.key not in self._keys:
            return
        known = [image.path for images in journal.done.values() for image in images]
        request = self._cells[self._keys.index(begun.key)].request
        images = saved_unnoticed(request, self._context.output_folder, begun.when, known)
        if images:
            journal.finish(begun.key, images)

    def _draw(self, before: set[str], errors: dict[str, str]) -> None:
        """Draw what is not there yet; cells that are alike once."""
        order = [place for place in in_order_of_cost(self._cells) if self._keys[place] not in before]
        due = list({self._keys[place]: place for place in reversed(order)}.values())[::-1]
        pace = Pace(len(due))
        for number, place in enumerate(due):
            self._context.cancel.check()
            if self._context.cancel.ending == "interrupt":
                break
            cell, key = self._cells[place], self._keys[place]
            self._tell_progress(cell, number + 1, len(due), pace.seconds_left(number))
            error = cell.problem or self._draw_cell(cell, key)
            if error:
                errors[key] = error
                self._journal.fail(key, error)
                self.warn([f"{_called(cell)} could not be drawn: {error}"])

    def _draw_cell(self, cell: Cell, key: str) -> str:
        """Draw one cell; returns why it could not be, or nothing."""
        self._journal.begin(key)
        try:
            result: GenerationResult = self._generate(cell.request, named(self._context, cell.file_name))
        except Cancelled:
            raise
        except SfumatoError as error:
            log.debug("%s could not be drawn", _called(cell), exc_info=True)
            return str(error)
        except Exception as error:  # whatever a plugin raises: the other cells are drawn all the same
            log.debug("%s could not be drawn", _called(cell), exc_info=True)
            return f"{in_one_line(error)}."
        self._journal.finish(key, result.images)
        self.warnings += [message for message in result.warnings if message not in self.warnings]
        return ""

    def _tell_progress(self, cell: Cell, number: int, total: int, seconds_left: float | None) -> None:
        self._context.events.emit(
            GridProgress(
                detail=f"cell {number} of {total}",
                cell=number,
                cells=total,
                labels=cell.labels,
                seconds_left=seconds_left,
            )
        )

    def _told(self, cell: Cell, key: str, errors: dict[str, str], before: set[str]) -> GridCell:
        column, row, sheet = cell.place
        return GridCell(
            column=column,
            row=row,
            sheet=sheet,
            labels=cell.labels,
            images=self._journal.done.get(key, ()) if key not in errors else (),
            error=errors.get(key, ""),
            from_before=key in before,
        )


def _called(cell: Cell) -> str:
    labels = ", ".join(filter(None, cell.labels))
    return f"'{labels:.200}'" if labels else "A cell"
