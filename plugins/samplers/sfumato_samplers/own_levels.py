"""The frame of solvers that choose their levels in half log-SNR between the ends of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale

Observe = Callable[[Tensor, Tensor], None]
"""Reports a step: the latents x, and their clean estimate."""
Solve = Callable[[Tensor, float, float, Observe], Tensor]
"""Takes ``y = x / alpha`` from one half log-SNR to a higher one, both finite."""


def between_ends(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    context: SamplingContext,
    second: float,
    solve: Solve,
) -> Tensor:
    """From the first level to the last one above 0 by `solve`, and to the estimate where the schedule has 0.

    A flow model's pure noise is infinitely far away in log-SNR: an Euler step leaves it for level `second`.
    """
    convention, numbers = context.convention, count()

    def observe(x: Tensor, denoised: Tensor) -> None:
        context.on_step(next(numbers), x, denoised)

    sigma, last = sigmas[0], sigmas[-1] or sigmas[-2]
    if sigma > last and signal_scale(sigma, convention) == 0:
        denoised = denoise(x, sigma)
        observe(x, denoised)
        sigma_next = max(second, last)
        x, sigma = torch.lerp(denoised, x, sigma_next / sigma), sigma_next
    if sigma > last:
        start, end = half_log_snr(sigma, convention), half_log_snr(last, convention)
        y = solve(x / signal_scale(sigma, convention), start, end, observe)
        x = signal_scale(last, convention) * y
    if sigmas[-1] > 0:
        return x
    denoised = denoise(x, last)
    observe(x, denoised)
    return denoised
