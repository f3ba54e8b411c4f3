"""Euler: one straight step along the probability-flow ODE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import churned


def euler(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, without its correction.

    ``dx/dsigma = (x - denoised) / sigma`` holds for variance-exploding and flow models alike. Without churn
    this is DDIM (Song et al. 2020) and, for flow models, the sampler of rectified flow.
    """
    steps = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x, sigma_hat = churned(x, sigma, steps, context)
        denoised = denoise(x, sigma_hat)
        context.on_step(i, x, denoised)
        # x + (x - denoised) / sigma_hat * (sigma_next - sigma_hat), in one operation that is exact at 0
        x = torch.lerp(denoised, x, sigma_next / sigma_hat)
    return x
