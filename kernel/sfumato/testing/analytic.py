"""Data whose exact denoiser is known, and noise levels as models have them: what samplers are tested on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.noise_schedule import Convention, NoiseSchedule, flow_schedule, variance_exploding_schedule
from sfumato.sampling import Prediction

if TYPE_CHECKING:
    from torch import Tensor

CONVENTIONS: tuple[Convention, ...] = ("variance_exploding", "flow")


def conventions_of(predictions: Sequence[Prediction]) -> set[Convention]:
    """How the models of these kinds mix noise and picture."""
    return {"flow" if prediction == "flow" else "variance_exploding" for prediction in predictions}


def stable_diffusion_schedule() -> NoiseSchedule:
    """The 1000 levels of Stable Diffusion 1 and XL: betas from 0.00085 to 0.012, linear in their roots."""
    low, high = math.sqrt(0.00085), math.sqrt(0.012)
    product, alphas = 1.0, []
    for step in range(1000):
        product *= 1 - (low + (high - low) * step / 999) ** 2
        alphas.append(product)
    return variance_exploding_schedule(alphas)


def noise_schedules(convention: Convention) -> list[NoiseSchedule]:
    """Tables of levels as current models have them."""
    if convention == "flow":
        return [flow_schedule(), flow_schedule(3.0), flow_schedule(3.158, levels=10_000)]
    return [stable_diffusion_schedule()]


def levels(convention: Convention, steps: int) -> list[float]:
    """``steps`` + 1 levels from a model's highest down to 0."""
    table = noise_schedules(convention)[0].sigmas
    return [table[-1 - i * len(table) // steps] for i in range(steps)] + [0.0]


@dataclass(frozen=True)
class Gaussian:
    """Normal data: exact denoiser and exact probability-flow trajectories. Deviation 0 is one picture."""

    convention: Convention
    mean: float = 0.3
    deviation: float = 0.7

    def signal(self, sigma: float) -> float:
        """The share of the clean picture in latents at noise level `sigma`."""
        return 1 - sigma if self.convention == "flow" else 1.0

    def spread(self, sigma: float) -> float:
        """The standard deviation of noisy data at level `sigma`."""
        return math.hypot(self.signal(sigma) * self.deviation, sigma)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        alpha = self.signal(sigma)
        return self.mean + alpha * self.deviation**2 / self.spread(sigma) ** 2 * (x - alpha * self.mean)

    def noisy(self, sigma: float, count: int) -> Tensor:
        """`count` draws of noisy data at level `sigma`: [1, 1, 1, count]."""
        return self.signal(sigma) * self.mean + self.spread(sigma) * normal((1, 1, 1, count), seed=1)

    def transported(self, x: Tensor, sigma: float, target: float) -> Tensor:
        """Where the probability-flow ODE takes `x` from level `sigma` to `target`."""
        start, end = (self.signal(level) * self.mean for level in (sigma, target))
        return end + (x - start) * (self.spread(target) / self.spread(sigma))


@dataclass(frozen=True)
class Mixture:
    """Data at a few points, each blurred by 0.2: a denoiser that is not linear."""

    convention: Convention

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        import torch

        alpha = 1 - sigma if self.convention == "flow" else 1.0
        variance = (alpha * 0.2) ** 2 + sigma**2
        distances = x[..., None] - alpha * torch.tensor([-1.5, -0.2, 0.9], dtype=x.dtype)
        weights = torch.softmax(-(distances**2) / (2 * variance), dim=-1)
        centres = torch.tensor([-1.5, -0.2, 0.9], dtype=x.dtype)
        return (weights * (centres + alpha * 0.2**2 / variance * distances)).sum(-1)


class SeededNoise:
    """Fresh standard normal noise, one generator a picture, as a studio gives it."""

    def __init__(self, x: Tensor, seeds: Sequence[int]) -> None:
        import torch

        self._like = x
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        import torch

        shape = self._like.shape[1:]
        return torch.stack(
            [torch.randn(shape, generator=g, dtype=self._like.dtype) for g in self._generators]
        )


def normal(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
