"""IPNDM_V: the improved pseudo linear multistep method for steps of any length."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import adams_bashforth


def ipndm_v(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """IPNDM of Zhang and Chen (2022), https://arxiv.org/abs/2204.13902, with weights made for each step.

    These are the Adams-Bashforth weights of unequal steps, where `ipndm` takes those of equal ones; the
    authors' code, which Forge and ComfyUI have, lacks a bracket in those of three and four slopes, and so
    draws other pictures, less exact ones. The step to 0 returns the estimate.
    """
    slopes: deque[Tensor] = deque(maxlen=context.options["order"])
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        slopes.appendleft((x - denoised) / sigma)
        nodes = [sigmas[i - k] for k in range(len(slopes))]
        for weight, slope in zip(adams_bashforth(nodes, sigma_next), slopes, strict=True):
            x = torch.add(x, slope, alpha=weight)
    return x
