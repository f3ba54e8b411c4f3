"""The single steps of DPM-Solver, which predict noise and step in half log-SNR.

Lu et al. (2022), https://arxiv.org/abs/2206.00927, algorithms 1, 2 and 3 with the latents divided by alpha:
``y = x / alpha`` has the noise-to-signal ratio ``sigma / alpha = exp(-lambda)`` as its noise level, in both
conventions. A step goes from half log-SNR `start` over `h` > 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.noise_schedule import Convention
from sfumato.sampling import Denoise
from sfumato_samplers.log_snr import sigma_at, signal_scale
from sfumato_samplers.renoise import ancestral_split

NoisePrediction = Callable[[Tensor, float], Tensor]
"""From y and its half log-SNR to the noise in it: ``(x - alpha * denoised) / sigma``."""


def noise_prediction(denoise: Denoise, convention: Convention) -> NoisePrediction:
    def predict(y: Tensor, half_log_snr: float) -> Tensor:
        sigma = sigma_at(half_log_snr, convention)
        alpha = signal_scale(sigma, convention)
        denoised = denoise(y if alpha == 1 else alpha * y, sigma)
        return (y - denoised) * math.exp(half_log_snr)

    return predict


def as_latents(
    y: Tensor, half_log_snr: float, noise: Tensor, convention: Convention
) -> tuple[Tensor, Tensor]:
    """``(x, denoised)``: the latents and the clean estimate that the noise in them leaves."""
    alpha = signal_scale(sigma_at(half_log_snr, convention), convention)
    return alpha * y, torch.sub(y, noise, alpha=math.exp(-half_log_snr))


def first_order(y: Tensor, start: float, h: float, noise: Tensor) -> Tensor:
    """The step with `noise` as predicted at its start: Euler's step in the noise-to-signal ratio."""
    return torch.add(y, noise, alpha=math.exp(-start) * math.expm1(-h))


def part_way(
    predict: NoisePrediction, y: Tensor, start: float, h: float, noise: Tensor, part: float
) -> Tensor:
    """The noise predicted at the fraction `part` of the step: one evaluation."""
    return predict(first_order(y, start, part * h, noise), start + part * h)


def second_order(y: Tensor, start: float, h: float, noise: Tensor, noise_part: Tensor, part: float) -> Tensor:
    """The step with the noise predicted at its start and at the fraction `part` of it."""
    return first_order(y, start, h, torch.lerp(noise, noise_part, 1 / (2 * part)))


def third_order(
    predict: NoisePrediction, y: Tensor, start: float, h: float, noise: Tensor, noise_third: Tensor
) -> Tensor:
    """The step with the noise predicted at its start, a third and two thirds of it: one more evaluation."""
    change = 2 * (noise_third - noise)
    y_part = _with_change(y, start, 2 / 3 * h, noise, change)
    change = 1.5 * (predict(y_part, start + 2 / 3 * h) - noise)
    return _with_change(y, start, h, noise, change)


def _with_change(y: Tensor, start: float, h: float, noise: Tensor, change: Tensor) -> Tensor:
    """The step with noise that changes by `change` over it, linearly in half log-SNR."""
    factor = -math.exp(-start - h) * (math.expm1(h) / h - 1)
    return torch.add(first_order(y, start, h, noise), change, alpha=factor)


def overshoot(start: float, stop: float, end: float, eta: float) -> tuple[float, float]:
    """``(down, added)``: step to half log-SNR `down`, then noise of deviation `added` leads y back to `stop`.

    An ancestral step that goes no further than `end`, the half log-SNR where all steps end.
    """
    if not eta or stop >= end:
        return stop, 0.0
    ratio = math.exp(-stop)
    down = max(ancestral_split(math.exp(-start), ratio, eta)[0], math.exp(-end))
    return -math.log(down), math.sqrt(ratio**2 - down**2)
