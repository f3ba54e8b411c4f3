"""What decides the noise of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.request import NoiseSource, StepNoise


@dataclass(frozen=True)
class NoiseSettings:
    """The noise of a batch of pictures, in A1111's terms.

    Attributes:
        seeds: One a picture.
        variation_seeds: One a picture; may be left out where the variation strength is 0.
        variation_strength: From the seed's starting noise (0) to the variation seed's (1).
        resize_from: Height and width, in latents, of the picture whose starting noise stands in the middle of
            this one's (A1111's seed resize).
        seed_delta: Added to the seeds for the noise after the starting noise (eta noise seed delta).
        source: Whose random numbers: torch's on the CPU, or those of an NVIDIA GPU.
        step_noise: Fresh noise from a path of ours, or as k-diffusion's SDE samplers draw it.
    """

    seeds: tuple[int, ...]
    variation_seeds: tuple[int, ...] = ()
    variation_strength: float = 0.0
    resize_from: tuple[int, int] | None = None
    seed_delta: int = 0
    source: NoiseSource = "cpu"
    step_noise: StepNoise = "path"
