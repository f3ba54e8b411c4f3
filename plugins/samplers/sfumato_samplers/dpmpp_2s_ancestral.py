"""DPM-Solver++(2S) ancestral: second-order single steps that overshoot and add fresh noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, sigma_at
from sfumato_samplers.renoise import ancestral_step


def dpmpp_2s_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext
) -> Tensor:
    """Algorithm 1 of Lu et al. (2022), "DPM-Solver++", https://arxiv.org/abs/2211.01095, to a level below.

    The model is evaluated again half-way in log-SNR; then noise lifts the latents to the next level. `eta` 0
    adds none. A step to 0 is of first order; so is a flow model's from pure noise, which has no half-way
    point.
    """
    convention, s_noise = context.convention, context.options["s_noise"]
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        down, scale, added = ancestral_step(sigma, sigma_next, context.options["eta"], convention)
        start, end = half_log_snr(sigma, convention), half_log_snr(down, convention)
        if math.isfinite(start) and math.isfinite(end):
            sigma_mid = sigma_at((start + end) / 2, convention)
            denoised = denoise(torch.lerp(denoised, x, sigma_mid / sigma), sigma_mid)
        x = torch.lerp(denoised, x, down / sigma)
        if added:
            x = scale * x + (added * s_noise) * context.noise(sigma, sigma_next)
    return x
