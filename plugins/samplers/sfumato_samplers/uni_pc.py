"""UniPC: a multistep predictor whose every step is corrected by the next evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale


@dataclass(frozen=True)
class _Step:
    """A predicted step, to be corrected once the model is evaluated at its end.

    Attributes:
        base: Where the first-order step leads.
        estimate: The estimate the step began with.
        changes: Earlier estimates less that one, newest first.
        correction: Weights of `changes`, and last of the change to the estimate at the step's end.
    """

    base: Tensor
    estimate: Tensor
    changes: list[Tensor]
    correction: list[float]

    def corrected(self, denoised: Tensor) -> Tensor:
        return _combined(self.base, [*self.changes, denoised - self.estimate], self.correction)


def uni_pc(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """UniPC of Zhao et al. (2023), https://arxiv.org/abs/2302.04867, predicting the clean picture.

    `order` is the predictor's; the corrector adds one. `variant` chooses the paper's B(h): "bh1" is h, "bh2"
    is exp(h) - 1. Orders grow from 1 and shrink to 1 again at the last step; one to 0 returns the estimate.
    """
    lambdas = [half_log_snr(sigma, context.convention) for sigma in sigmas]
    steps = len(sigmas) - 1
    estimates: list[tuple[float, Tensor]] = []
    step: _Step | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        if step is not None:
            x = step.corrected(denoised)
        order = min(context.options["order"], steps - i)
        h, alpha = lambdas[i + 1] - lambdas[i], signal_scale(sigma_next, context.convention)
        earlier = estimates[: order - 1]
        ratios = [(before - lambdas[i]) / h for before, _ in earlier]
        prediction, correction = _weights(ratios, h, context.options["variant"])
        changes = [estimate - denoised for _, estimate in earlier]
        base = torch.lerp(denoised, x, sigma_next / sigma)
        step = _Step(base, denoised, changes, [alpha * weight for weight in correction])
        x = _combined(base, changes, [alpha * weight for weight in prediction])
        if math.isfinite(lambdas[i]):
            estimates = [(lambdas[i], denoised), *earlier]
    return x


def _combined(base: Tensor, changes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    for change, weight in zip(changes, weights, strict=True):
        base = torch.add(base, change, alpha=weight)
    return base


def _weights(ratios: Sequence[float], h: float, variant: str) -> tuple[list[float], list[float]]:
    """Weights of the changes between estimates, in the predictor and in the corrector.

    Args:
        ratios: Where the earlier estimates lie: 0 is the step's start, 1 its end, so these are negative.
        h: The step in half log-SNR; infinite from a flow model's pure noise, where B(h) must stay finite.
    """
    scale = math.expm1(-h) if variant == "bh2" or math.isinf(h) else -h
    order = len(ratios) + 1
    moments, phi, factorial = [], math.expm1(-h) / -h - 1, 1
    for k in range(1, order + 1):
        moments.append(phi * factorial / scale)
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    # the paper takes 1/2 for a single change: so the order is kept, and the variants differ
    prediction = [0.5] if order == 2 else _interpolated(ratios, moments)
    correction = [0.5] if order == 1 else _interpolated([*ratios, 1.0], moments)
    return [-scale * p / r for p, r in zip(prediction, ratios, strict=True)], [
        -scale * c / r for c, r in zip(correction, [*ratios, 1.0], strict=True)
    ]


def _interpolated(ratios: Sequence[float], moments: Sequence[float]) -> list[float]:
    """The solution of ``sum_k w_k ratios_k**n = moments_n``, by the Lagrange polynomials' coefficients."""
    weights = []
    for k, ratio in enumerate(ratios):
        polynomial = [1.0]  # coefficients, lowest power first
        for other in (*ratios[:k], *ratios[k + 1 :]):
            shifted = zip([0.0, *polynomial], [*polynomial, 0.0], strict=True)
            polynomial = [(high - other * low) / (ratio - other) for high, low in shifted]
        weights.append(sum(c * m for c, m in zip(polynomial, moments, strict=False)))
    return weights
