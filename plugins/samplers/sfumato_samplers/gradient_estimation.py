"""Gradient estimation: Euler's step along a slope extrapolated from the last two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext


def gradient_estimation(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext
) -> Tensor:
    """Algorithm 2 of Permenter and Yuan (2023), https://arxiv.org/abs/2306.04848.

    The slope is ``gamma * d_i + (1 - gamma) * d_(i-1)``: `gamma` 1 is Euler. The step to 0 returns the
    estimate.
    """
    extra = context.options["gamma"] - 1
    previous: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        slope = (x - denoised) / sigma
        x = torch.lerp(denoised, x, sigma_next / sigma)
        if previous is not None:
            x = torch.add(x, slope - previous, alpha=extra * (sigma_next - sigma))
        previous = slope
    return x
