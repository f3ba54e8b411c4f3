"""DPM-Solver with adaptive steps: as many as a tolerated error asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.dpm_solver import (
    NoisePrediction,
    as_latents,
    first_order,
    noise_prediction,
    overshoot,
    part_way,
    second_order,
    third_order,
)
from sfumato_samplers.log_snr import sigma_at
from sfumato_samplers.own_levels import Observe, between_ends
from sfumato_samplers.step_size import StepSize

FIRST_STEP = 0.05
NEARLY_AT_THE_END = 1e-5
BESIDE_PURE_NOISE = 0.99


def dpm_adaptive(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """DPM-Solver-12 and -23 of Lu et al. (2022), https://arxiv.org/abs/2206.00927, appendix C.

    As in k-diffusion the difference between two orders is the error, in units of `atol` or of `rtol` times
    the latents, whichever is larger. A schedule that ends at 0 costs one more evaluation, whose estimate is
    the result.

    Each picture takes steps of its own, so that it does not depend on its neighbours: in a batch of n an
    evaluation of all n serves one picture. `eta` adds fresh noise after each step, asked for over intervals
    that do not depend on the pictures.
    """

    def solve(y: Tensor, start: float, end: float, observe: Observe) -> Tensor:
        batch = _Batch(denoise, context, observe, y, (start, end))
        return torch.cat([_descend(batch, row) for row in range(len(y))])

    return between_ends(denoise, x, sigmas, context, BESIDE_PURE_NOISE, solve)


class _Batch:
    """Pictures that are sampled one after the other; the model and the observer see all of them."""

    def __init__(
        self,
        denoise: Denoise,
        context: SamplingContext,
        observe: Observe,
        y: Tensor,
        ends: tuple[float, float],
    ) -> None:
        self.context, self.y, self.ends = context, y, ends
        self._predict, self._observe = noise_prediction(denoise, context.convention), observe
        self.noise = self._predict(y, ends[0])
        self._shown = as_latents(y, ends[0], self.noise, context.convention)
        self._draws: list[Tensor] = []

    def predict(self, row: int, y: Tensor, half_log_snr: float) -> Tensor:
        """The noise in y [1, c, h, w], which is picture number `row`."""
        return self._predict(y.expand_as(self.y), half_log_snr)[row : row + 1]

    def show(self, row: int, y: Tensor, half_log_snr: float, noise: Tensor) -> None:
        parts = zip(self._shown, as_latents(y, half_log_snr, noise, self.context.convention), strict=True)
        x, denoised = (torch.cat((every[:row], one, every[row + 1 :])) for every, one in parts)
        self._shown = x, denoised
        self._observe(x, denoised)

    def draw(self, row: int, number: int) -> Tensor:
        """Fresh noise for step `number` of a picture, drawn for all when the first of them comes there."""
        if number == len(self._draws):
            start, end = (sigma_at(level, self.context.convention) for level in self.ends)
            interval = (end + (start - end) / share for share in (number + 1, number + 2))
            self._draws.append(self.context.noise(*interval))
        return self._draws[number][row : row + 1]


def _descend(batch: _Batch, row: int) -> Tensor:
    """One picture's y at the end."""
    options, (here, end), number = batch.context.options, batch.ends, 0
    eta, order = options["eta"], options["order"]
    pid = [options[name] for name in ("pcoeff", "icoeff", "dcoeff", "accept_safety")]
    step = StepSize(FIRST_STEP, 1.5 if eta else order, *pid)
    predict = partial(batch.predict, row)
    y, noise = (every[row : row + 1] for every in (batch.y, batch.noise))
    low_before = y
    while True:
        there = min(end, here + step.h)
        down, added = overshoot(here, there, end, eta)
        low, high = _two_orders(predict, y, here, down - here, noise, order)
        if not step.accepts(_error(low, high, low_before, options)):
            continue
        batch.show(row, y, here, noise)
        y, low_before = high, low
        if added:
            y = torch.add(y, batch.draw(row, number), alpha=added * options["s_noise"])
        here = there
        if end - here <= NEARLY_AT_THE_END:
            return y
        noise, number = predict(y, here), number + 1


def _two_orders(
    predict: NoisePrediction, y: Tensor, start: float, h: float, noise: Tensor, order: int
) -> tuple[Tensor, Tensor]:
    """The step by the order below `order` and by `order`, which share their evaluations."""
    if order == 2:
        middle = part_way(predict, y, start, h, noise, 1 / 2)
        return first_order(y, start, h, noise), second_order(y, start, h, noise, middle, 1 / 2)
    third = part_way(predict, y, start, h, noise, 1 / 3)
    low = second_order(y, start, h, noise, third, 1 / 3)
    return low, third_order(predict, y, start, h, noise, third)


def _error(low: Tensor, high: Tensor, before: Tensor, options: dict[str, Any]) -> float:
    """Root mean square of the difference, in units of what is tolerated."""
    scale = torch.maximum(low.abs(), before.abs())
    tolerated = torch.clamp(options["rtol"] * scale, min=options["atol"])
    return float(((low - high) / tolerated).square().mean().sqrt())
