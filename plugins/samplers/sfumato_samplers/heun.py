"""Heun: Euler's step, corrected by the slope at its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import churned


def heun(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Karras et al. (2022), https://arxiv.org/abs/2206.00364."""
    steps = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x, sigma_hat = churned(x, sigma, steps, context)
        denoised = denoise(x, sigma_hat)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        d = (x - denoised) / sigma_hat
        x_euler = x + (sigma_next - sigma_hat) * d
        d_next = (x_euler - denoise(x_euler, sigma_next)) / sigma_next
        x = x + (sigma_next - sigma_hat) * 0.5 * (d + d_next)
    return x
