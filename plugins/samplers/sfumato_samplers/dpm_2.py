"""DPM2: a half step in log-noise, then the whole step along the slope found there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import churned


def dpm_2(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """k-diffusion's second-order step after DPM-Solver-2 (Lu et al. 2022, https://arxiv.org/abs/2206.00927).

    The midpoint is the geometric mean of the two levels. ``dx/dsigma = (x - denoised) / sigma`` holds for
    flow models too. The step to 0 is Euler's.
    """
    steps = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x, sigma_hat = churned(x, sigma, steps, context)
        denoised = denoise(x, sigma_hat)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        x = midpoint_step(denoise, x, denoised, sigma_hat, sigma_next)
    return x


def midpoint_step(denoise: Denoise, x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """From level `sigma`, where the estimate is `denoised`, to `sigma_next` above 0: one more evaluation."""
    sigma_mid = math.sqrt(sigma * sigma_next)
    x_mid = torch.lerp(denoised, x, sigma_mid / sigma)
    change = x_mid - denoise(x_mid, sigma_mid)
    return torch.add(x, change, alpha=(sigma_next - sigma) / sigma_mid)
