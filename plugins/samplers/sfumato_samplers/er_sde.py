"""ER-SDE: the extended reverse-time SDE, its linear part solved exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale
from sfumato_samplers.quadrature import integral


def er_sde(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """ER-SDE-Solver-3 of Cui et al. (2023), https://arxiv.org/abs/2309.06169, up to `order` estimates.

    In the noise-to-signal ratio r the noise scale is ``phi(r) = r * (exp(r**0.3) + 10) ** eta``: with `eta` 1
    it is the paper's choice, with `eta` 0 nothing is added and the ODE is solved. Orders grow from 1 and anew
    after a flow model's pure noise; the step to 0 returns the estimate.
    """
    eta, s_noise = context.options["eta"], context.options["s_noise"]
    ratios = [math.exp(-half_log_snr(sigma, context.convention)) for sigma in sigmas]
    estimates: list[tuple[float, Tensor]] = []
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        start, end = ratios[i], ratios[i + 1]
        alpha = signal_scale(sigma_next, context.convention)
        kept = _relative_scale(end, start, eta)
        x = torch.add((sigma_next / sigma * kept) * x, denoised, alpha=alpha * (1 - end / start * kept))
        if math.isfinite(start):
            estimates = [(start, denoised), *estimates[: context.options["order"] - 1]]
        if len(estimates) > 1:
            for weight, change in zip(_weights(start, end, eta), _differences(estimates), strict=False):
                x = torch.add(x, change, alpha=alpha * weight)
        added = sigma_next * math.sqrt(1 - kept**2) * s_noise
        if added:
            x = torch.add(x, context.noise(sigma, sigma_next), alpha=added)
    return x


def _relative_scale(ratio: float, reference: float, eta: float) -> float:
    """``phi(ratio) / ratio`` over the same at `reference`, which may be infinite."""
    if not eta:
        return 1.0

    def log_scale(r: float) -> float:
        return r**0.3 + math.log1p(10 * math.exp(-(r**0.3)))

    return math.exp(eta * (log_scale(ratio) - log_scale(reference)))


def _weights(start: float, end: float, eta: float) -> tuple[float, float]:
    """Weights of the estimate's first two derivatives in the ratio, for a step from `start` to `end`."""

    def scale(log_ratio: float) -> float:
        return _relative_scale(end, math.exp(log_ratio), eta)

    def moment(log_ratio: float) -> float:
        return (math.exp(log_ratio) - start) * scale(log_ratio)

    # in the logarithm of the ratio both are smooth, and 1 / phi is not
    first, second = (end * integral(f, math.log(end), math.log(start)) for f in (scale, moment))
    step = end - start
    return step + first, step**2 / 2 + second


def _differences(estimates: Sequence[tuple[float, Tensor]]) -> list[Tensor]:
    """The estimate's derivatives in the ratio, as far as the last three estimates tell."""
    slopes = [(new - old) / (at - before) for (at, new), (before, old) in pairwise(estimates)]
    if len(slopes) < 2:
        return slopes
    return [slopes[0], (slopes[0] - slopes[1]) / ((estimates[0][0] - estimates[2][0]) / 2)]
