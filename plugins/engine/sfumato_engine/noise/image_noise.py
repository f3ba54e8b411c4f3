"""All noise of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_engine.noise.brownian_path import BrownianPath
from sfumato_engine.noise.brownian_tree import BrownianTrees
from sfumato_engine.noise.generators import new_generator
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.noise.starting_noise import starting_noise


class ImageNoise:
    """The starting noise of a batch, and a `sfumato.sampling.NoiseSource` for stochastic samplers.

    A picture's noise is the same at any batch size and position.

    Args:
        settings: What decides the noise.
        shape: Of one picture's latents, (c, h, w).
        device: Where the noise is used.
        levels: The lowest noise level above 0, and the highest, of the schedule.

    Raises:
        BadInput: a Brownian tree is asked for, and torchsde is not installed.
    """

    def __init__(
        self, settings: NoiseSettings, shape: tuple[int, ...], device: str, levels: tuple[float, float]
    ) -> None:
        self._settings = settings
        self._shape = shape
        self._device = device
        self._generators = [new_generator(settings.source, seed) for seed in settings.seeds]
        self._step_noise: BrownianPath | BrownianTrees
        if settings.step_noise == "brownian_tree":
            self._step_noise = BrownianTrees(settings.seeds, shape, settings.source, levels, self._draw)
        else:
            self._step_noise = BrownianPath(self._draw, (len(settings.seeds), *shape))

    def initial(self) -> Tensor:
        """Standard normal starting noise [b, c, h, w]; to be called first and once."""
        settings = self._settings
        noise = torch.stack(
            [
                starting_noise(settings, index, generator, self._shape)
                for index, generator in enumerate(self._generators)
            ]
        )
        if settings.seed_delta:
            seeds = [seed + settings.seed_delta for seed in settings.seeds]
            self._generators = [new_generator(settings.source, seed) for seed in seeds]
        return noise.to(self._device)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Standard normal noise [b, c, h, w] for the step from `sigma` to `sigma_next`."""
        return self._step_noise(sigma, sigma_next).to(self._device)

    def _draw(self) -> Tensor:
        return torch.stack([generator.randn(self._shape) for generator in self._generators])
