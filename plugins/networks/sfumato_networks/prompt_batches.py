"""Several prompts in one evaluation: put together where they fit, and stacked once for all steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

P = TypeVar("P")


def each_alike(
    x: Tensor,
    prompts: Sequence[P],
    form: Callable[[P], Hashable],
    evaluate: Callable[[Tensor, Sequence[P]], Tensor],
) -> Tensor:
    """What ``evaluate`` makes of latents x [b, ...] and a prompt for each, called once for each ``form``.

    Prompts of more or fewer tokens do not fit into one batch.
    """
    places: dict[Hashable, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(form(prompt), []).append(place)
    if len(places) == 1:
        return evaluate(x, prompts)
    made = torch.empty_like(x)
    for chosen in places.values():
        made[chosen] = evaluate(x[chosen], [prompts[place] for place in chosen])
    return made


class Stacked(Generic[P]):
    """The tensors [1, ...] of prompts as tensors [b, ...]; those of the last batch are kept."""

    def __init__(self, tensors_of: Callable[[P], tuple[Tensor, ...]]) -> None:
        self._tensors_of = tensors_of
        self._prompts: list[P] = []
        self._tensors: tuple[Tensor, ...] = ()

    def __call__(self, prompts: Sequence[P]) -> tuple[Tensor, ...]:
        if len(prompts) == 1:
            return self._tensors_of(prompts[0])
        if len(prompts) != len(self._prompts) or any(
            a is not b for a, b in zip(prompts, self._prompts, strict=True)
        ):
            self._prompts = list(prompts)
            self._tensors = tuple(map(torch.cat, zip(*map(self._tensors_of, prompts), strict=True)))
        return self._tensors
