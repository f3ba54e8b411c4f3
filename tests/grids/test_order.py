"""Cells are drawn in the order that changes dear things least often."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sfumato.request import GenerationRequest, GridRequest
from sfumato_grids.order import in_order_of_cost
from sfumato_grids.plan import Cell, Plan
from sfumato_grids.seeds import SeedSource
from sfumato_grids.xyz import plan_axes

from .conftest import apples, axis

AXES = [
    axis("model", "a", "b", "c"),
    axis("VAE", "p", "q"),
    axis("lora", "", "l"),
    axis("clip_skip", "1", "2"),
    axis("prompt_replace", "red", "blue"),
    axis("Size", "64x64", "32x32"),
    axis("steps", "1-3"),
    axis("seed", "1-2"),
]


def drawn(plan: Plan) -> list[GenerationRequest]:
    order = in_order_of_cost(plan.cells)
    assert sorted(order) == list(range(len(plan.cells)))
    return [plan.cells[place].request for place in order]


@given(st.permutations(range(len(AXES))))
def test_the_dearest_axis_changes_least_often_wherever_it_lies(places: list[int]) -> None:
    chosen = places[:3]
    x, y, z = (AXES[place] for place in chosen)
    requests = drawn(plan_axes(GridRequest(base=apples(), x=x, y=y, z=z), SeedSource(1)))
    dearest = AXES[min(chosen)]
    shown = [_value(request, dearest.field) for request in requests]
    assert sum(one != other for one, other in pairwise(shown)) == len(set(shown)) - 1


def _value(request: GenerationRequest, field: str) -> object:
    values = {
        "VAE": request.parts.get("autoencoder"),
        "lora": "<lora" in request.prompt,
        "prompt_replace": "red" in request.prompt,
        "Size": request.width,
    }
    return values[field] if field in values else getattr(request, field)


def test_a_list_of_requests_is_grouped_by_model_and_otherwise_left_alone() -> None:
    models = ["a", "b", "a", "b", "a"]
    cells = [Cell(apples(model=model, steps=n + 1), (n, 0, 0), ()) for n, model in enumerate(models)]
    assert in_order_of_cost(cells) == [0, 2, 4, 1, 3]
