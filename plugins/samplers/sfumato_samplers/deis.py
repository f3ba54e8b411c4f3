"""DEIS: the diffusion exponential integrator."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import lagrange
from sfumato_samplers.log_snr import half_log_snr, signal_scale
from sfumato_samplers.quadrature import integral


def deis(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Log-rho-AB-DEIS of Zhang and Chen (2022), https://arxiv.org/abs/2204.13902.

    With rho the ratio of noise to signal, ``d(x / alpha) / drho`` is the noise estimate: its polynomial in
    log(rho) through the last `order` levels is integrated. Orders grow from 1, also anew after a flow model's
    pure noise, where rho is infinite; the step to 0 returns the estimate.
    """
    lambdas = [half_log_snr(sigma, context.convention) for sigma in sigmas]
    noises: deque[Tensor] = deque(maxlen=context.options["order"])
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        if math.isinf(lambdas[i]):
            x = torch.lerp(denoised, x, sigma_next / sigma)
            continue
        alpha, alpha_next = (signal_scale(level, context.convention) for level in (sigma, sigma_next))
        noises.appendleft(torch.sub(x, denoised, alpha=alpha) / sigma)
        nodes = [-lambdas[i - k] for k in range(len(noises))]
        x = (alpha_next / alpha) * x
        for weight, noise in zip(_weights(nodes, -lambdas[i + 1]), noises, strict=True):
            x = torch.add(x, noise, alpha=alpha_next * weight)
    return x


def _weights(nodes: Sequence[float], end: float) -> list[float]:
    """Weights of noise estimates known at `nodes` in log(rho), newest first, for a step to `end`."""

    def weight(j: int) -> float:
        return integral(lambda log_rho: lagrange(nodes, j, log_rho) * math.exp(log_rho), nodes[0], end)

    return [weight(j) for j in range(len(nodes))]
