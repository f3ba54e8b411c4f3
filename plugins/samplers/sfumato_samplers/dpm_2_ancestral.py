"""DPM2 ancestral: DPM2 steps that overshoot and add fresh noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.dpm_2 import midpoint_step
from sfumato_samplers.renoise import ancestral_step


def dpm_2_ancestral(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """DPM2's step to a level below the next one, then noise up to it; `eta` 0 is DPM2."""
    eta, s_noise = context.options["eta"], context.options["s_noise"]
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        down, scale, added = ancestral_step(sigma, sigma_next, eta, context.convention)
        x = midpoint_step(denoise, x, denoised, sigma, down) if down else denoised
        if added:
            x = scale * x + (added * s_noise) * context.noise(sigma, sigma_next)
    return x
