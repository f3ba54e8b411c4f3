"""Heun: Euler's step, corrected by the slope at its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
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
        x = heun_step(denoise, x, denoised, sigma_hat, sigma_next)
    return x


def heun_step(denoise: Denoise, x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """From level `sigma`, where the estimate is `denoised`, to `sigma_next`; the step to 0 is Euler's."""
    if sigma_next == 0:
        return denoised
    d = (x - denoised) / sigma
    # not x plus a step along d: from the levels of zero terminal SNR, in the thousands, rounding would show
    x_euler = torch.lerp(denoised, x, sigma_next / sigma)
    d_next = (x_euler - denoise(x_euler, sigma_next)) / sigma_next
    return torch.add(x_euler, d_next - d, alpha=0.5 * (sigma_next - sigma))
