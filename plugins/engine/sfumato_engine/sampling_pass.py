"""One way through the noise levels: txt2img takes it once; a hires pass or a refiner is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.events import CancelToken
from sfumato.models import LoadedModel
from sfumato.noise_schedule import Convention
from sfumato.sampling import Denoise, Sampler, SamplingContext
from sfumato_engine.guidance import Guidance, guided
from sfumato_engine.noise import ImageNoise
from sfumato_engine.resolution import ResolvedRequest


@dataclass(frozen=True)
class SamplingPass:
    """From noisy latents to clean ones.

    Attributes:
        denoise: The guided model.
        sampler: The integration method.
        options: The sampler's own, complete.
        sigmas: Descending noise levels, one more than steps.
        convention: How noise and picture mix.
    """

    denoise: Denoise
    sampler: Sampler
    options: Mapping[str, Any]
    sigmas: Sequence[float]
    convention: Convention

    @classmethod
    def of(cls, resolved: ResolvedRequest, model: LoadedModel, guidance: Guidance) -> SamplingPass:
        """The pass that a request asks for."""
        schedule = model.noise_schedule(*resolved.size, resolved.model_options)
        sigmas = resolved.scheduler.load()(resolved.steps, schedule, resolved.scheduler_options)
        return cls(
            denoise=guided(model, guidance, resolved.model_options),
            sampler=resolved.sampler.load(),
            options=resolved.sampler_options,
            sigmas=sigmas,
            convention=schedule.convention,
        )

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    def from_noise(
        self, noise: ImageNoise, on_step: Callable[[int, Tensor, Tensor], None], cancel: CancelToken
    ) -> Tensor:
        """Sample from pure noise; raises `Cancelled` before the next model evaluation once cancelled.

        Returns:
            Clean latents [b, c, h, w].
        """

        def denoise(x: Tensor, sigma: float) -> Tensor:
            cancel.check()
            return self.denoise(x, sigma)

        start = noise.initial() * self.sigmas[0]  # x0 = 0: both conventions leave sigma * noise
        context = SamplingContext(self.convention, noise, dict(self.options), on_step)
        return self.sampler(denoise, start, self.sigmas, context)
