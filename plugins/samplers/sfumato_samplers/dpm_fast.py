"""DPM-Solver-fast: third-order steps of one size, for a given number of evaluations."""

from __future__ import annotations

from collections.abc import Sequence

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
from sfumato_samplers.log_snr import sigma_at, signal_scale
from sfumato_samplers.own_levels import Observe, between_ends


def dpm_fast(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Section 3.4 of Lu et al. (2022), "DPM-Solver", https://arxiv.org/abs/2206.00927.

    As many evaluations as the schedule has steps, three a step, the steps equal in log-SNR from the first
    level to the last one above 0. A schedule that ends at 0 costs one more, whose estimate is the result.
    `eta` adds fresh noise after each step.
    """
    convention, eta, s_noise = context.convention, context.options["eta"], context.options["s_noise"]
    predict = noise_prediction(denoise, convention)
    evaluations = len(sigmas) - 1
    if signal_scale(sigmas[0], convention) == 0:  # one is spent on leaving pure noise
        evaluations -= 1

    def solve(y: Tensor, start: float, end: float, observe: Observe) -> Tensor:
        orders = _orders(evaluations)
        levels = [start + i / len(orders) * (end - start) for i in range(len(orders))] + [end]
        for order, here, there in zip(orders, levels, levels[1:], strict=False):
            noise = predict(y, here)
            observe(*as_latents(y, here, noise, convention))
            down, added = overshoot(here, there, end, eta)
            y = _step(predict, y, here, down - here, noise, order)
            if added:
                fresh = context.noise(sigma_at(here, convention), sigma_at(there, convention))
                y = torch.add(y, fresh, alpha=added * s_noise)
        return y

    second = sigmas[1] if len(sigmas) > 1 else 0.0
    return between_ends(denoise, x, sigmas, context, second, solve)


def _orders(evaluations: int) -> list[int]:
    """Orders of the steps that cost so many evaluations, a step as many as its order."""
    threes, left = divmod(evaluations, 3)
    return [3] * threes + [left] if left else [3] * (threes - 1) + [2, 1]


def _step(predict: NoisePrediction, y: Tensor, start: float, h: float, noise: Tensor, order: int) -> Tensor:
    if order == 1:
        return first_order(y, start, h, noise)
    if order == 2:
        return second_order(y, start, h, noise, part_way(predict, y, start, h, noise, 1 / 2), 1 / 2)
    return third_order(predict, y, start, h, noise, part_way(predict, y, start, h, noise, 1 / 3))
