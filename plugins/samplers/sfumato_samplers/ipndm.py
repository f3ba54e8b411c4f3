"""IPNDM: the improved pseudo linear multistep method."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import EQUAL_STEPS


def ipndm(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """IPNDM of Zhang and Chen (2022), https://arxiv.org/abs/2204.13902.

    The Adams-Bashforth weights of equal steps whatever the steps are; orders grow from 1 as slopes become
    known. The step to 0 returns the estimate.
    """
    slopes: deque[Tensor] = deque(maxlen=context.options["order"])
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        slopes.appendleft((x - denoised) / sigma)
        for weight, slope in zip(EQUAL_STEPS[len(slopes) - 1], slopes, strict=True):
            x = torch.add(x, slope, alpha=weight * (sigma_next - sigma))
    return x
