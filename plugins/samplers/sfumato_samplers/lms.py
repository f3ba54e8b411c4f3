"""LMS: the linear multistep method."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import adams_bashforth


def lms(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Adams-Bashforth steps along the probability-flow ODE, for steps of any length.

    The form of k-diffusion's `sample_lms`, with integrals that are exact: a step to 0 is of the full order
    like any other, and so does not end in the estimate itself.
    """
    slopes: deque[Tensor] = deque(maxlen=context.options["order"])
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        slopes.appendleft((x - denoised) / sigma)
        nodes = [sigmas[i - k] for k in range(len(slopes))]
        for weight, slope in zip(adams_bashforth(nodes, sigma_next), slopes, strict=True):
            x = torch.add(x, slope, alpha=weight)
    return x
