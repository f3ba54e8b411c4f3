"""DPM-Solver++(2M) SDE: the multistep solver of the diffusion SDE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale


def dpmpp_2m_sde(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """SDE-DPM-Solver++(2M) of Lu et al. (2022), https://arxiv.org/abs/2211.01095; `eta` scales the noise.

    `solver_type` chooses how the change of the estimate enters: "midpoint", or "heun" (the exact integral of
    its linear extrapolation). `eta` 0 with "midpoint" is DPM-Solver++(2M). The first and last steps are of
    first order.
    """
    options = context.options
    eta, s_noise, solver = options["eta"], options["s_noise"], options["solver_type"]
    lambdas = [half_log_snr(sigma, context.convention) for sigma in sigmas]
    previous: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        alpha, h = signal_scale(sigma_next, context.convention), lambdas[i + 1] - lambdas[i]
        # from a flow model's pure noise h is infinite: all of that noise is replaced, and 0 * h is not 0
        eta_h = eta * h if eta else 0.0
        phi_1 = -math.expm1(-h - eta_h)
        x = torch.add((sigma_next / sigma * math.exp(-eta_h)) * x, denoised, alpha=alpha * phi_1)
        if previous is not None:
            r = (lambdas[i] - lambdas[i - 1]) / h
            phi_2 = 0.5 * phi_1 if solver == "midpoint" else 1 - phi_1 / (h + eta_h)
            x = torch.add(x, denoised - previous, alpha=alpha * phi_2 / r)
        if eta:
            added = sigma_next * math.sqrt(-math.expm1(-2 * eta_h)) * s_noise
            x = torch.add(x, context.noise(sigma, sigma_next), alpha=added)
        previous = denoised
    return x
