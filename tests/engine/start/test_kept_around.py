"""What a mask keeps of the picture, step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.events import CancelToken
from sfumato.registries import Registries
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.sampling_pass import SamplingPass
from sfumato_engine.start.masked import KeptAround
from sfumato_samplers import plugin as samplers_plugin

SIGMAS = (10.0, 6.0, 3.0, 1.0, 0.3, 0.0)


class FarOff:
    """A guided model whose estimates lie far from any picture, and from each other."""

    unconditional: Tensor | None = None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.unconditional = torch.full_like(x, -50.0)
        return torch.full_like(x, 50.0)


@pytest.mark.parametrize("sampler", ["euler", "euler_cfg_pp", "ddim_cfg_pp"])
def test_what_is_kept_stays_the_picture_with_its_own_noise_in_every_step(sampler: str) -> None:
    registries = Registries()
    registrar = registries.samplers.registrar("samplers")
    samplers_plugin.register_samplers(registrar)
    registrar.commit()
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 2:] = 1
    original = torch.full((1, 3, 4, 4), 0.5)
    settings = NoiseSettings(
        seeds=(1,),
        variation_seeds=(1,),
        variation_strength=0.0,
        resize_from=None,
        seed_delta=0,
        source="cpu",
        step_noise="path",
    )
    noise = ImageNoise(settings, (3, 4, 4), "cpu", (0.3, 10.0))
    first = ImageNoise(settings, (3, 4, 4), "cpu", (0.3, 10.0)).initial()
    entry = registries.samplers.get(sampler)
    options = {option.name: option.default for option in entry.info.options}
    seen: list[tuple[float, Tensor]] = []

    def watched(denoise):
        def called(x: Tensor, sigma: float) -> Tensor:
            seen.append((sigma, x))
            return denoise(x, sigma)

        return called

    sampling = SamplingPass(FarOff(), entry, options, SIGMAS, "variance_exploding")
    keep = KeptAround(original, mask, None)
    latents = sampling.run(noise, lambda *_: None, CancelToken(), watched, original, keep=keep)
    for sigma, x in seen:
        torch.testing.assert_close(x[..., :2], (original + sigma * first)[..., :2], rtol=1e-4, atol=1e-4)
    assert torch.equal(latents[..., :2], original[..., :2])
    assert len(seen) == len(SIGMAS) - 1
