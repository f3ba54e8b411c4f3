"""Restart: Heun's steps that go back to a noisy level and come down again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.heun import heun_step
from sfumato_samplers.log_snr import sigma_at
from sfumato_samplers.renoise import renoise

RETURN = 0.1, 2.0
"""The ends of a return, as ratios of noise to signal."""
RHO = 7


def restart(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Xu et al. (2023), "Restart sampling", https://arxiv.org/abs/2306.14878, in A1111's form.

    The steps asked for are spent on one way down and one or two returns; under 20 there is no return, and the
    steps are Heun's on the schedule's own levels. The noise between a return's ends forgets the errors made
    so far.
    """
    convention, s_noise = context.convention, context.options["s_noise"]
    level = sigmas[0]
    for i, (sigma, sigma_next) in enumerate(_steps(sigmas, context)):
        if sigma > level:
            scale, added = renoise(level, sigma, convention)
            # over an interval, a Brownian tree would give each return the noise of the one before
            x = scale * x + (added * s_noise) * context.noise(sigma, sigma)
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        x = heun_step(denoise, x, denoised, sigma, sigma_next)
        level = sigma_next
    return x


def _steps(sigmas: Sequence[float], context: SamplingContext) -> list[tuple[float, float]]:
    """All steps in their order: those down, and where the low end is reached those of the returns."""
    steps = len(sigmas) - 1
    if steps < 20:
        return list(pairwise(sigmas))
    times, each = (2, steps // 4) if steps >= 36 else (1, 9)
    end = [sigma for sigma in sigmas[-1:] if sigma == 0]
    levels = _karras(sigmas[0], sigmas[-1 - len(end)], steps - len(end) - times * each) + end
    low, high = (_nearest(levels, sigma_at(-math.log(ratio), context.convention)) for ratio in RETURN)
    down = list(pairwise(levels))
    if high >= low:
        return down
    again = list(pairwise(_karras(levels[high], levels[low], each)))
    return down[:low] + times * again + down[low:]


def _karras(start: float, end: float, steps: int) -> list[float]:
    """Eq. 5 of Karras et al. (2022), https://arxiv.org/abs/2206.00364; both ends are kept exactly."""
    high, low = start ** (1 / RHO), end ** (1 / RHO)
    return [start, *((high + i / steps * (low - high)) ** RHO for i in range(1, steps)), end]


def _nearest(levels: Sequence[float], sigma: float) -> int:
    return min(range(len(levels)), key=lambda i: abs(levels[i] - sigma))
