"""Heun++: Euler's step along an average of the slopes ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.renoise import churned


def heunpp2(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """ComfyUI's sampler of this name: slopes one and two levels ahead, weighted by how noisy these are.

    A slope at level s weighs ``s / (n * sigmas[0])`` among n slopes, the one at hand the rest. These are not
    the weights of a higher-order rule: the method is of first order, with a smaller error than Euler's. The
    step to the last level is Euler's, the one before looks one level ahead.
    """
    steps = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        x, sigma_hat = churned(x, sigma, steps, context)
        denoised = denoise(x, sigma_hat)
        context.on_step(i, x, denoised)
        if i == steps - 1:
            return torch.lerp(denoised, x, sigma_next / sigma_hat)
        ahead = sigmas[i + 1 : min(i + 3, steps)]
        slope = _average_slope(denoise, (x, denoised), (sigma_hat, *ahead), sigmas[0])
        x = torch.add(x, slope, alpha=sigma_next - sigma_hat)
    return x


def _average_slope(
    denoise: Denoise, here: tuple[Tensor, Tensor], levels: Sequence[float], highest: float
) -> Tensor:
    """The weighted mean of ``dx/dsigma`` at `levels`, following Euler's steps from the first to the last.

    `here` are the latents at the first level, and their estimate.
    """
    x, denoised = here
    first = slope = average = (x - denoised) / levels[0]
    for sigma, sigma_next in pairwise(levels):
        x = torch.add(x, slope, alpha=sigma_next - sigma)
        slope = (x - denoise(x, sigma_next)) / sigma_next
        average = torch.add(average, slope - first, alpha=sigma_next / (len(levels) * highest))
    return average
