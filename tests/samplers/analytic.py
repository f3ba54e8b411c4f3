"""What a sampler needs to run without a model, besides the data of `sfumato.testing.analytic`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sfumato.noise_schedule import Convention, NoiseSchedule, flow_schedule
from sfumato.registries import Registries
from sfumato.sampling import SamplingContext
from sfumato.testing.analytic import CONVENTIONS, conventions_of, normal, stable_diffusion_schedule
from sfumato_samplers import plugin


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
    return flow_schedule(shift=3.0) if convention == "flow" else stable_diffusion_schedule()


def latents(count: int = 64, seed: int = 0) -> Tensor:
    """Standard normal latents in float64, shape (2, 1, 8, count / 8)."""
    return normal((2, 1, 8, count // 8), seed)


INFOS = tuple(entry.info for entry in registries().samplers)
SAMPLERS = tuple(info.name for info in INFOS)
CASES = tuple(
    (info.name, convention)
    for info in INFOS
    for convention in CONVENTIONS
    if convention in conventions_of(info.predictions)
)
OWN_LEVELS = tuple(info.name for info in INFOS if info.own_levels)
