"""Data whose exact denoiser is known, and what else a sampler needs to run without a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.noise_schedule import Convention, NoiseSchedule, flow_schedule, variance_exploding_schedule
from sfumato.registries import Registries
from sfumato.sampling import SamplerInfo, SamplingContext
from sfumato_samplers import plugin
from sfumato_samplers.log_snr import signal_scale

CONVENTIONS: tuple[Convention, ...] = ("variance_exploding", "flow")


@dataclass(frozen=True)
class Gaussian:
    """Normal data: exact denoiser and exact probability-flow trajectories. Deviation 0 is a single point."""

    convention: Convention
    mean: float = 0.3
    deviation: float = 0.7

    def spread(self, sigma: float) -> float:
        """The standard deviation of noisy data at level `sigma`."""
        return math.hypot(signal_scale(sigma, self.convention) * self.deviation, sigma)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        alpha = signal_scale(sigma, self.convention)
        return self.mean + alpha * self.deviation**2 / self.spread(sigma) ** 2 * (x - alpha * self.mean)

    def transported(self, x: Tensor, sigma: float, target: float) -> Tensor:
        """Where the probability-flow ODE takes `x` from level `sigma` to `target`."""
        start, end = (signal_scale(level, self.convention) * self.mean for level in (sigma, target))
        return end + (x - start) * self.spread(target) / self.spread(sigma)

    def noisy(self, sigma: float, count: int) -> Tensor:
        """`count` draws of noisy data at level `sigma`."""
        noise = torch.randn(1, count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return signal_scale(sigma, self.convention) * self.mean + self.spread(sigma) * noise


@dataclass(frozen=True)
class Mixture:
    """Data at a few points, each blurred by 0.2: a denoiser that is not linear."""

    convention: Convention

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        centres = torch.tensor([-1.5, -0.2, 0.9], dtype=x.dtype)
        alpha = signal_scale(sigma, self.convention)
        variance = (alpha * 0.2) ** 2 + sigma**2
        distances = x[..., None] - alpha * centres
        weights = torch.softmax(-(distances**2) / (2 * variance), dim=-1)
        return (weights * (centres + alpha * 0.2**2 / variance * distances)).sum(-1)


class NoiseTape:
    """The same noise each time it is made, for two samplers to share; remembers the intervals asked for."""

    def __init__(self, x: Tensor, seed: int = 7) -> None:
        self.like = x
        self.generator = torch.Generator().manual_seed(seed)
        self.intervals: list[tuple[float, float]] = []

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        self.intervals.append((float(sigma), float(sigma_next)))
        return torch.randn(self.like.shape, generator=self.generator, dtype=self.like.dtype)


def registries() -> Registries:
    """Registries holding what this plugin registers."""
    filled = Registries()
    for register, registry in (
        (plugin.register_samplers, filled.samplers),
        (plugin.register_schedulers, filled.schedulers),
    ):
        registrar = registry.registrar("samplers")
        register(registrar)
        registrar.commit()
    return filled


def sample(
    name: str,
    denoise: Callable[[Tensor, float], Tensor],
    x: Tensor,
    sigmas: list[float],
    convention: Convention = "variance_exploding",
    **given: Any,
) -> Tensor:
    """Run a registered sampler with its default options, save those given (or `noise`, `on_step`).

    A sampler that wants the unconditional estimate too is given `unconditional`, or the guided one twice.
    """
    entry = registries().samplers.get(name)
    unconditional = given.pop("unconditional", None)

    def denoise_pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        guided = denoise(x, sigma)
        return guided, unconditional(x, sigma) if unconditional else guided

    fields = {"noise": given.pop("noise", None) or NoiseTape(x)}
    fields |= {"on_step": given.pop("on_step")} if "on_step" in given else {}
    fields |= {"denoise_pair": denoise_pair} if entry.info.needs_unconditional else {}
    options = {option.name: option.default for option in entry.info.options} | given
    return entry.load()(denoise, x, sigmas, SamplingContext(convention=convention, options=options, **fields))


def schedule(name: str, steps: int, noise_schedule: NoiseSchedule, **given: Any) -> list[float]:
    """A registered scheduler's levels with its default options, save those given."""
    entry = registries().schedulers.get(name)
    options = {option.name: option.default for option in entry.info.options} | given
    return entry.load()(steps, noise_schedule, options)


def noise_schedule(convention: Convention) -> NoiseSchedule:
    """Stable Diffusion's noise levels, or a flow model's under shift 3."""
    if convention == "flow":
        return flow_schedule(shift=3.0)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return variance_exploding_schedule((1 - betas).cumprod(0).tolist())


def latents(count: int = 64, seed: int = 0) -> Tensor:
    """Standard normal latents in float64, shape (2, 1, 8, count / 8)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 1, 8, count // 8, generator=generator, dtype=torch.float64)


def conventions_of(info: SamplerInfo) -> tuple[Convention, ...]:
    """The conventions of the models a sampler is right for."""
    kinds = {"flow" if prediction == "flow" else "variance_exploding" for prediction in info.predictions}
    return tuple(convention for convention in CONVENTIONS if convention in kinds)


INFOS = tuple(entry.info for entry in registries().samplers)
SAMPLERS = tuple(info.name for info in INFOS)
CASES = tuple((info.name, convention) for info in INFOS for convention in conventions_of(info))
OWN_LEVELS = tuple(info.name for info in INFOS if info.own_levels)
