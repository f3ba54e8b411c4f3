"""PLMS: the pseudo linear multistep method of Stable Diffusion's first release."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import EQUAL_STEPS
from sfumato_samplers.heun import heun_step


def plms(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """PNDM of Liu et al. (2022), https://arxiv.org/abs/2202.09778, started without Runge-Kutta steps.

    The first step is Heun's (the paper's pseudo improved Euler); the others take the Adams-Bashforth
    weights of equal steps. A step in the noise estimate, as the paper writes it, is one along
    ``dx/dsigma``. The step to 0 returns the estimate: there the authors' sampler stops short, at the lowest
    trained level.
    """
    slopes: deque[Tensor] = deque(maxlen=len(EQUAL_STEPS))
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        slopes.appendleft((x - denoised) / sigma)
        if i == 0:
            x = heun_step(denoise, x, denoised, sigma, sigma_next)
            continue
        for weight, slope in zip(EQUAL_STEPS[len(slopes) - 1], slopes, strict=True):
            x = torch.add(x, slope, alpha=weight * (sigma_next - sigma))
    return x
