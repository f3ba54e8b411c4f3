"""The order in which cells are drawn: what is dear to change changes least often."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from sfumato.request import GenerationRequest
from sfumato_grids.plan import Cell
from sfumato_grids.prompt_edits import lora_names, lora_tags

DEAREST_FIRST: tuple[Callable[[GenerationRequest], Hashable], ...] = (
    lambda request: request.model,
    lambda request: request.hires and request.hires.model,
    lambda request: request.refiner and request.refiner.model,
    lambda request: tuple(sorted(request.parts.items())),
    lambda request: repr(sorted(request.model_options.items())),
    lambda request: lora_names(request.prompt),
    lambda request: lora_tags(request.prompt),
    lambda request: (request.styles, request.clip_skip, request.emphasis),
    lambda request: (request.prompt, request.negative_prompt),
    lambda request: request.hires and (request.hires.prompt, request.hires.negative_prompt),
    lambda request: request.img2img and request.img2img.image,
    lambda request: (request.width, request.height),
)
"""What a picture needs, by what it costs to change: loading a model or a part, changing weights by a LoRA,
encoding prompts, encoding a start picture, and memory of another size. All else costs nothing."""


def in_order_of_cost(cells: Sequence[Cell]) -> list[int]:
    """Places of the cells in the order they are best drawn; among equals, the one asked for."""
    ranks: list[dict[Hashable, int]] = [{} for _ in DEAREST_FIRST]
    keys = []
    for place, cell in enumerate(cells):
        needs = [need(cell.request) for need in DEAREST_FIRST]
        rank = [seen.setdefault(each, len(seen)) for seen, each in zip(ranks, needs, strict=True)]
        keys.append((rank, place))
    return [place for _, place in sorted(keys)]
