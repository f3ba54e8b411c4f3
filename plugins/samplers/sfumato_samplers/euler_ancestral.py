"""Euler ancestral: Euler steps that overshoot and add fresh noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import ancestral_step


def euler_ancestral(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Euler steps to a level below the next one, then noise up to it.

    The ancestral sampling of Ho et al. (2020), https://arxiv.org/abs/2006.11239. `eta` 0 is plain Euler;
    otherwise more steps do not converge to the ODE's solution: they sample an SDE.
    """
    eta, s_noise = context.options["eta"], context.options["s_noise"]
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        down, scale, added = ancestral_step(sigma, sigma_next, eta, context.convention)
        x = torch.lerp(denoised, x, down / sigma)
        if added:
            x = scale * x + (added * s_noise) * context.noise(sigma, sigma_next)
    return x
