"""The query 'plan_grid': what a grid comes to, before anything is drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sfumato.errors import BadInput
from sfumato.queries import QueryContext
from sfumato.request import GenerationRequest, GridRequest
from sfumato.request.schema import load_model
from sfumato.tasks import TaskContext
from sfumato_grids.checks import problems_with_names
from sfumato_grids.seeds import SeedSource
from sfumato_grids.task import make_plan

_NO_MATTER = ("prompt", "negative_prompt", "seed", "variation_seed")
"""Fields that change nothing about how much work a picture is."""


class GridPlan(BaseModel):
    """As the answer of the query 'plan'."""

    images: int = 0
    steps: int = 0
    pixel_steps: int = 0
    width: int = 0
    height: int = 0
    model: str = ""
    problems: tuple[str, ...] = ()


def plan_grid(request: GridRequest, context: QueryContext) -> GridPlan:
    """Cells that are as much work as another one are planned once."""
    task = TaskContext(context.registries, context.library, context.settings, Path())
    try:
        plan = make_plan(request, task, SeedSource.fresh())
    except BadInput as error:
        return GridPlan(problems=(str(error),))
    if problems := (*plan.problems, *problems_with_names(plan.cells, task)):
        return GridPlan(problems=problems)
    works = Counter(_work(cell.request) for cell in plan.cells if not cell.problem)
    plans = [(_plan_of(work, context), count) for work, count in works.items()]
    sizes, models = {(one.width, one.height) for one, _ in plans}, {one.model for one, _ in plans}
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    return GridPlan(
        images=sum(one.images * count for one, count in plans),
        steps=sum(one.steps * count for one, count in plans),
        pixel_steps=sum(one.pixel_steps * count for one, count in plans),
        width=width,
        height=height,
        model=models.pop() if len(models) == 1 else "",
        problems=tuple(dict.fromkeys(problem for one, _ in plans for problem in one.problems)),
    )


def _work(request: GenerationRequest) -> str:
    return request.model_dump_json(exclude_defaults=True, exclude=set(_NO_MATTER))


def _plan_of(work: str, context: QueryContext) -> Any:
    """By whoever answers the query 'plan'."""
    entry = context.registries.queries.get("plan")
    fields = GenerationRequest.model_validate_json(work).model_dump(mode="json", exclude_unset=True)
    asked = load_model(entry.info.request).model_validate({"kind": "generate", "request": fields})
    return entry.load()(asked, context)
