"""One walk through the noise levels: txt2img takes it once; a hires pass or a refiner is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from sfumato.errors import BadInput
from sfumato.events import CancelToken
from sfumato.models import LoadedModel
from sfumato.noise_schedule import Convention, NoiseSchedule
from sfumato.registry import Entry
from sfumato.sampling import Denoise, Sampler, SamplerInfo, SamplingContext, Scheduler
from sfumato_engine.blame import OthersFaults, blamed, failure
from sfumato_engine.guidance import Guidance, GuidedModel
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.resolution import ResolvedRequest

Wrap = Callable[[Denoise], Denoise]
OnStep = Callable[[int, Tensor, Tensor], None]


@dataclass(frozen=True)
class SamplingPass:
    """From noisy latents to clean ones.

    Attributes:
        model: Under guidance.
        sampler: The integration method, as registered.
        options: The sampler's own, complete.
        sigmas: Descending noise levels, one more than steps.
        convention: How noise and picture mix.
    """

    model: GuidedModel
    sampler: Entry[SamplerInfo]
    options: Mapping[str, Any]
    sigmas: Sequence[float]
    convention: Convention

    @classmethod
    def of(cls, resolved: ResolvedRequest, model: LoadedModel, guidance: Guidance) -> SamplingPass:
        """The pass that a request asks for."""
        schedule = model.noise_schedule(*resolved.size, resolved.model_options)
        sigmas = noise_levels(resolved, schedule)
        in_pairs = resolved.sampler.info.needs_unconditional
        return cls(
            model=GuidedModel(model, guidance, resolved.model_options, sigmas, keep_unconditional=in_pairs),
            sampler=resolved.sampler,
            options=resolved.sampler_options,
            sigmas=sigmas,
            convention=schedule.convention,
        )

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    def from_noise(self, noise: ImageNoise, on_step: OnStep, cancel: CancelToken, wrap: Wrap) -> Tensor:
        """Sample from pure noise; raises `Cancelled` before the next model evaluation once cancelled.

        Args:
            wrap: Put around the guided model, as stages of plugins ask for.

        Returns:
            Clean latents [b, c, h, w].
        """
        guided, others = wrap(self.model), OthersFaults()

        def denoise(x: Tensor, sigma: float) -> Tensor:
            cancel.check()
            return guided(x, sigma)

        def denoise_pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
            denoised = denoise(x, sigma)
            unconditional = self.model.unconditional
            return denoised, denoised if unconditional is None else unconditional

        start = noise.initial() * self.sigmas[0]  # x0 = 0: both conventions leave sigma * noise
        context = SamplingContext(
            self.convention,
            others.of(noise),
            dict(self.options),
            others.of(on_step),
            others.of(denoise_pair) if self.sampler.info.needs_unconditional else None,
        )
        sample: Sampler = self.sampler.load()
        with blamed("sampler", self.sampler, but=others):
            latents = sample(others.of(denoise), start, self.sigmas, context)
        if getattr(latents, "shape", None) != start.shape:
            raise failure("sampler", self.sampler, "It gave back no latents of the shape it was given.")
        return latents


def noise_levels(resolved: ResolvedRequest, schedule: NoiseSchedule) -> list[float]:
    """The levels of a request's steps, one more than steps, the last one 0.

    Raises:
        BadInput: the scheduler's levels do not fall from step to step, or are too many or too few.
    """
    skips, scheduler = resolved.sampler.info.skips_last_level, resolved.scheduler
    steps = resolved.steps + skips
    space: Scheduler = scheduler.load()
    with blamed("scheduler", scheduler):
        levels = space(steps, schedule, resolved.scheduler_options)
    if len(levels) != steps + 1 or not all(high > low for high, low in pairwise(levels)):
        raise BadInput(
            f"The scheduler '{scheduler.info.label}' cannot make {resolved.steps} steps for this model.",
            why=f"It gave {len(levels)} noise levels for {steps} steps, or some that do not fall.",
            hint="Take fewer steps or another scheduler.",
        )
    return [*levels[:-2], levels[-1]] if skips else levels
