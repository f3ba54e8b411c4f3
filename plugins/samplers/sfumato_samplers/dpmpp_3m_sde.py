"""DPM-Solver++(3M) SDE: the multistep solver of the diffusion SDE, drawing on three estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale


def dpmpp_3m_sde(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """SDE-DPM-Solver++ of Lu et al. (2022), https://arxiv.org/abs/2211.01095, carried to three estimates.

    The form of k-diffusion's `sample_dpmpp_3m_sde`; `eta` scales the noise. The third estimate enters with
    half the weight of third order, as in the authors' code. The first step is of first order; the step to 0
    returns the estimate.
    """
    eta, s_noise = context.options["eta"], context.options["s_noise"]
    lambdas = [half_log_snr(sigma, context.convention) for sigma in sigmas]
    estimates: list[Tensor] = []
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        estimates = [denoised, *estimates[:2]]
        alpha, h = signal_scale(sigma_next, context.convention), lambdas[i + 1] - lambdas[i]
        # from a flow model's pure noise h is infinite: all of that noise is replaced, and 0 * h is not 0
        eta_h = eta * h if eta else 0.0
        x = torch.add(
            (sigma_next / sigma * math.exp(-eta_h)) * x, denoised, alpha=-alpha * math.expm1(-h - eta_h)
        )
        ratios = [(lambdas[i - k] - lambdas[i - k - 1]) / h for k in range(len(estimates) - 1)]
        for weight, newer, older in zip(_weights(h + eta_h, ratios), estimates, estimates[1:], strict=False):
            x = torch.add(x, newer - older, alpha=alpha * weight)
        if eta:
            added = sigma_next * math.sqrt(-math.expm1(-2 * eta_h)) * s_noise
            x = torch.add(x, context.noise(sigma, sigma_next), alpha=added)
    return x


def _weights(h: float, ratios: Sequence[float]) -> tuple[float, ...]:
    """Weights of the last differences between estimates, newest first.

    Args:
        h: The step in half log-SNR, times ``1 + eta``.
        ratios: Earlier steps over this one, newest first; infinite where one began at pure noise.
    """
    if not ratios:
        return ()
    phi_2 = 1 + math.expm1(-h) / h
    if len(ratios) == 1:
        return (phi_2 / ratios[0],)
    phi_3 = phi_2 / h - 0.5
    newer, older = ratios
    both = newer + older
    curvature = (phi_2 * newer - phi_3) / both
    return (phi_2 + curvature) / newer, -curvature / older
