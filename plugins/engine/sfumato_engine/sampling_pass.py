"""One walk through the noise levels: txt2img takes it once; a hires pass or a refiner is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.events import CancelToken
from sfumato.noise_schedule import Convention, NoiseSchedule
from sfumato.registry import Entry
from sfumato.sampling import Denoise, Sampler, SamplerInfo, SamplingContext, Scheduler
from sfumato_engine.blame import OthersFaults, blamed, failure
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.resolution import ResolvedRequest

Wrap = Callable[[Denoise], Denoise]
Keep = Callable[[Tensor, float], Tensor]
"""Puts what is not to change into a clean estimate [b, c, h, w], at a noise level."""


class Guided(Protocol):
    """A model under guidance: a `sfumato.sampling.Denoise` that keeps the unconditional estimate."""

    @property
    def unconditional(self) -> Tensor | None: ...

    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...


OnStep = Callable[[int, Tensor, Tensor], None]


class _EndedEarly(Exception):
    """Leads out of a sampler; the latest estimate is taken."""


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

    model: Guided
    sampler: Entry[SamplerInfo]
    options: Mapping[str, Any]
    sigmas: Sequence[float]
    convention: Convention

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    def run(
        self,
        noise: ImageNoise,
        on_step: OnStep,
        cancel: CancelToken,
        wrap: Wrap,
        original: Tensor | None = None,
        *,
        noise_multiplier: float = 1.0,
        keep: Keep | None = None,
    ) -> Tensor:
        """Sample; raises `Cancelled` before the next model evaluation once cancelled.

        Where it is to end early (`CancelToken.ending`) the latest clean estimate is what comes out, after one
        step at least.

        Args:
            wrap: Put around the guided model, as stages of plugins ask for.
            original: Clean latents [b, c, h, w] to start from, to which noise is added; None starts from
                noise alone.
            noise_multiplier: Scales the noise that is added to them.
            keep: Applied to every estimate, also to the unconditional one that some samplers follow: it
                would lead away from what stays.

        Returns:
            Clean latents [b, c, h, w].
        """
        if self.steps < 1 and original is not None:
            return original
        start = self._start(noise.initial() * noise_multiplier, original)
        guided, others = wrap(self.model if keep is None else self._keeping(keep)), OthersFaults()

        latest: list[Tensor] = []

        def stepped(index: int, x: Tensor, denoised: Tensor) -> None:
            latest[:] = [denoised]
            on_step(index, x, denoised)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            cancel.check()
            if cancel.ending and latest:
                raise _EndedEarly
            return guided(x, sigma)

        def denoise_pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
            denoised = denoise(x, sigma)
            unconditional = self.model.unconditional
            if unconditional is None:
                return denoised, denoised
            return denoised, unconditional if keep is None else keep(unconditional, sigma)

        context = SamplingContext(
            self.convention,
            others.of(noise),
            dict(self.options),
            others.of(stepped),
            others.of(denoise_pair) if self.sampler.info.needs_unconditional else None,
        )
        sample: Sampler = self.sampler.load()
        try:
            with blamed("sampler", self.sampler, but=others):
                latents = sample(others.of(denoise), start, self.sigmas, context)
        except _EndedEarly:
            return latest[0]
        if getattr(latents, "shape", None) != start.shape:
            raise failure("sampler", self.sampler, "It gave back no latents of the shape it was given.")
        return latents

    def _keeping(self, keep: Keep) -> Denoise:
        return lambda x, sigma: keep(self.model(x, sigma), sigma)

    def _start(self, noise: Tensor, original: Tensor | None) -> Tensor:
        """Noise at the first level; both conventions leave ``sigma * noise`` where there is no picture."""
        sigma = self.sigmas[0]
        if original is None:
            return noise * sigma
        kept = 1 - sigma if self.convention == "flow" else 1.0
        return torch.add(noise * sigma, original, alpha=kept)


def noise_levels(resolved: ResolvedRequest, schedule: NoiseSchedule) -> list[float]:
    """The levels of a pass's steps, one more than steps, the last one 0.

    A pass that starts from a picture takes the last ones of the whole schedule; one that changes nothing of
    it has no step, and the level 0 alone.

    Raises:
        BadInput: the scheduler's levels do not fall from step to step, or are too many or too few.
    """
    denoising, asked = resolved.denoising, resolved.steps
    if denoising is None:
        return _levels(resolved, schedule, asked)
    steps = denoising.run(asked)
    return _levels(resolved, schedule, denoising.laid_out(asked))[-steps - 1 :] if steps else [0.0]


def _levels(resolved: ResolvedRequest, schedule: NoiseSchedule, asked: int) -> list[float]:
    skips, scheduler = resolved.sampler.info.skips_last_level, resolved.scheduler
    steps = asked + skips
    space: Scheduler = scheduler.load()
    with blamed("scheduler", scheduler):
        levels = space(steps, schedule, resolved.scheduler_options)
    if len(levels) != steps + 1 or not all(high > low for high, low in pairwise(levels)):
        raise BadInput(
            f"The scheduler '{scheduler.info.label}' cannot make {asked} steps for this model.",
            why=f"It gave {len(levels)} noise levels for {steps} steps, or some that do not fall.",
            hint="Take fewer steps or another scheduler.",
        )
    return [*levels[:-2], levels[-1]] if skips else levels
