"""DPM-Solver++(2M): second order at one evaluation a step, by remembering the last estimate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Lu et al. (2022), "DPM-Solver++", https://arxiv.org/abs/2211.01095.

    The first step and the last one to 0 are of first order. So is a flow model's second step when the first
    began at pure noise, infinitely far away in log-SNR: 1 / (2 r) is 0 there.
    """
    lambdas = [half_log_snr(sigma, context.convention) for sigma in sigmas]
    previous: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        d = denoised
        if previous is not None and sigma_next > 0:
            h, h_last = lambdas[i + 1] - lambdas[i], lambdas[i] - lambdas[i - 1]
            r = h_last / h
            d = torch.lerp(previous, denoised, 1 + 1 / (2 * r))  # (1 + 1 / 2r) D_i - (1 / 2r) D_(i-1)
        # (sigma_next / sigma) x - alpha_next (exp(-h) - 1) d: the factors add up to 1 in both conventions
        x = torch.lerp(d, x, sigma_next / sigma)
        previous = denoised
    return x
