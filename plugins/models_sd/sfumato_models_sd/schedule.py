"""The noise levels that Stable Diffusion was trained on. Imports no torch."""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul

from sfumato.noise_schedule import TRAINING_STEPS, NoiseSchedule, variance_exploding_schedule

BETA_START, BETA_END = 0.00085, 0.012
LAST_ALPHA = 4.8973451890853435e-08
"""What stands for the last, which is 0 at zero terminal SNR: AUTOMATIC1111's and ComfyUI's value."""


def trained_schedule(zero_snr: bool) -> NoiseSchedule:
    """1000 levels, with zero terminal SNR or as Stable Diffusion came out."""
    alphas = alphas_cumprod()
    return variance_exploding_schedule(zero_terminal_snr(alphas) if zero_snr else alphas)


def alphas_cumprod() -> list[float]:
    """Of 1000 betas whose square roots are evenly spaced ("scaled linear", Rombach et al. 2022)."""
    start, end = math.sqrt(BETA_START), math.sqrt(BETA_END)
    betas = [(start + (end - start) * i / (TRAINING_STEPS - 1)) ** 2 for i in range(TRAINING_STEPS)]
    return list(accumulate((1 - beta for beta in betas), mul))


def zero_terminal_snr(alphas: list[float]) -> list[float]:
    """Stretched so that no signal is left at the end (Lin et al. 2023, arXiv:2305.08891, algorithm 1).

    The last one would be 0, its noise level infinite: `LAST_ALPHA` stands for it, a level of 4518.
    """
    roots = [math.sqrt(alpha) for alpha in alphas]
    first, last = roots[0], roots[-1]
    stretched = [((root - last) * first / (first - last)) ** 2 for root in roots]
    return [*stretched[:-1], LAST_ALPHA]


def timestep(schedule: NoiseSchedule, sigma: float) -> float:
    """The fractional timestep of a noise level; levels outside of the table have that of its end."""
    last = len(schedule.sigmas) - 1
    return min(max(schedule.timestep(sigma), 0.0), float(last)) if sigma > 0 else 0.0
