"""DPM-Solver++ (stochastic): a second-order single-step solver of the diffusion SDE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, sigma_at, signal_scale
from sfumato_samplers.renoise import ancestral_split


def dpmpp_sde(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """DPM-Solver++(2S) of Lu et al. (2022), https://arxiv.org/abs/2211.01095, with noise after each stage.

    The form of k-diffusion's `sample_dpmpp_sde`: the model is evaluated again at the fraction `r` of the step
    in log-SNR, and noise is drawn for both stages. A flow model's step from pure noise is of first order: it
    has no half-way point in log-SNR.
    """
    convention, r = context.convention, context.options["r"]
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        start, end = half_log_snr(sigma, convention), half_log_snr(sigma_next, convention)
        if math.isfinite(start):
            sigma_mid = sigma_at(start + r * (end - start), convention)
            x_mid = _stage(x, denoised, (sigma, sigma_mid), context)
            denoised_mid = denoise(x_mid, sigma_mid)
            denoised = torch.lerp(denoised, denoised_mid, 1 / (2 * r))
        x = _stage(x, denoised, (sigma, sigma_next), context)
    return x


def _stage(x: Tensor, denoised: Tensor, interval: tuple[float, float], context: SamplingContext) -> Tensor:
    """A first-order step below the interval's end in noise-to-signal ratio, then fresh noise up to it."""
    sigma, target = interval
    alpha = signal_scale(target, context.convention)
    ratio, ratio_target = (math.exp(-half_log_snr(level, context.convention)) for level in interval)
    down, up = ancestral_split(ratio, ratio_target, context.options["eta"])
    x = torch.add((alpha * down / sigma) * x, denoised, alpha=alpha * (1 - down / ratio))
    added = alpha * up * context.options["s_noise"]
    return torch.add(x, context.noise(sigma, target), alpha=added) if added else x
