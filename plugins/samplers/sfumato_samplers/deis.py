"""DEIS: the diffusion exponential integrator."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.adams import lagrange
from sfumato_samplers.log_snr import signal_scale
from sfumato_samplers.quadrature import integral

LOWEST, HIGHEST, SHORTEST_TIME = 0.002, 80.0, 1e-3


def deis(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """AB-DEIS of Zhang and Chen (2022), https://arxiv.org/abs/2204.13902.

    The slope is extrapolated by a polynomial through the last `order` levels, and integrated exactly.
    `interpolation` says in what the polynomial is: "time" is that of a variance-preserving process
    (tAB-DEIS), with slopes in sigma; "log_ratio" is the logarithm of the ratio of noise to signal
    (rhoAB-DEIS in its log form), with slopes in that ratio. Orders grow from 1; the step to 0 returns the
    estimate.
    """
    in_time = context.options["interpolation"] == "time"
    position = variance_preserving_time if in_time else math.log
    alphas = [1.0 if in_time else signal_scale(sigma, context.convention) for sigma in sigmas]
    slopes: deque[tuple[float, Tensor]] = deque(maxlen=context.options["order"])
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        alpha, alpha_next = alphas[i], alphas[i + 1]
        if alpha > 0:  # from a flow model's pure noise the ratio is infinite: that slope cannot be carried on
            slopes.appendleft((position(sigma / alpha), torch.sub(x, denoised, alpha=alpha) / sigma))
        if len(slopes) < 2:
            x = torch.lerp(denoised, x, sigma_next / sigma)
            continue
        weights = _weights([node for node, _ in slopes], position, sigma / alpha, sigma_next / alpha_next)
        x = (alpha_next / alpha) * x
        for weight, (_, slope) in zip(weights, slopes, strict=True):
            x = torch.add(x, slope, alpha=alpha_next * weight)
    return x


def variance_preserving_time(sigma: float) -> float:
    """The time at which a variance-preserving process with linear beta reaches a noise level.

    ``sigma(t)**2 = exp(beta_d / 2 * t**2 + beta_min * t) - 1`` (Karras et al. 2022, table 1,
    https://arxiv.org/abs/2206.00364) reaches level 0.002 at time 0.001 and level 80 at time 1.
    """
    low, high = math.log1p(LOWEST**2), math.log1p(HIGHEST**2)
    beta_d = 2 * (low / SHORTEST_TIME - high) / (SHORTEST_TIME - 1)
    beta_min = high - beta_d / 2
    return (math.sqrt(beta_min**2 + 2 * beta_d * math.log1p(sigma**2)) - beta_min) / beta_d


def _weights(
    nodes: Sequence[float], position: Callable[[float], float], start: float, end: float
) -> list[float]:
    """Weights of slopes known at `nodes`, newest first, for a step from level `start` to `end`."""

    def weight(j: int) -> float:
        def integrand(log_level: float) -> float:
            level = math.exp(log_level)
            return lagrange(nodes, j, position(level)) * level

        return integral(integrand, math.log(start), math.log(end))

    return [weight(j) for j in range(len(nodes))]
