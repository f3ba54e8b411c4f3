"""RES multistep: the refined exponential solver with one earlier estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import ancestral_step


def res_multistep(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """The second-order multistep method of Zhang et al. (2023), https://arxiv.org/abs/2308.02157.

    It integrates ``dx/dt = D - x`` exactly for an estimate D that is linear in ``t = -log(sigma)``. That
    holds in both conventions, and a flow model's pure noise is no special case. The first step and the one
    to 0 are of first order.
    """
    return _refined(denoise, x, sigmas, context, eta=0.0)


def res_multistep_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext
) -> Tensor:
    """`res_multistep` to a level below the next one, then noise up to it; `eta` 0 adds none."""
    return _refined(denoise, x, sigmas, context, eta=context.options["eta"])


def _refined(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext, eta: float
) -> Tensor:
    previous: Tensor | None = None
    reached = 0.0  # the level the last step went down to
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        down, scale, added = ancestral_step(sigma, sigma_next, eta, context.convention)
        x = torch.lerp(denoised, x, down / sigma)
        if previous is not None and down > 0 and reached > 0:
            h, back = math.log(sigma / down), math.log(sigmas[i - 1] / reached)
            x = torch.add(x, denoised - previous, alpha=(h + math.expm1(-h)) / back)
        if added:
            noise_scale = added * context.options["s_noise"]
            x = scale * x + noise_scale * context.noise(sigma, sigma_next)
        previous, reached = denoised, down
    return x
