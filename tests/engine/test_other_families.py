"""A hires pass by a model of another family: other latents, other recommendations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.events import StepCompleted
from sfumato.models import CheckpointHeader, LatentFormat, ModelInfo, PromptText
from sfumato.request import GenerationRequest, HiresPass, RequestDefaults
from sfumato_engine.resolution import resolve
from sfumato_engine.settings import EngineSettings

from .gaussian_model import GaussianFamily, GaussianModel
from .replay.conftest import ListedFamily, ReplayBench

DEFAULTS = RequestDefaults(steps=3, sampler="heun", scheduler="normal", cfg_scale=1.0, clip_skip=2)


class FourChannels(GaussianModel):
    """Latents with a fourth channel that nothing shows."""

    latent_format = LatentFormat(
        channels=4, size_multiple=16, rgb_factors=((1.0, 0.0, 0.0),) * 4, name="four"
    )

    def condition(self, text: PromptText, options: Mapping[str, Any]) -> Tensor:
        return F.pad(super().condition(text, options), (0, 0, 0, 0, 0, 1))

    def decode(self, latents: Tensor) -> Tensor:
        return super().decode(latents[:, :3])

    def encode(self, pixels: Tensor) -> Tensor:
        return F.pad(super().encode(pixels), (0, 0, 0, 0, 0, 1))


class FourFamily(GaussianFamily):
    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        if header.path.stem != "four":
            return None
        return ModelInfo(name="four", family="four", variant="dev", path=header.path, defaults=DEFAULTS)

    def load(self, info: ModelInfo, library: Any, placement: Any) -> GaussianModel:
        return FourChannels(info, placement)


@pytest.fixture
def bench(tmp_path: Path) -> ReplayBench:
    bench = ReplayBench(tmp_path)
    bench.registries.model_families.withdraw("gaussians")
    families = bench.registries.model_families.registrar("tester")
    families.add("four", FourFamily, label="Four")  # asked before the one that takes everything
    families.add("gaussian", ListedFamily, label="Gaussian")
    families.commit()
    bench.add_model("four", b"four channels")
    return bench


def test_pixels_lead_from_one_kind_of_latents_to_another_with_previews_of_both(bench: ReplayBench) -> None:
    bench.settings = EngineSettings(preview_every=1)
    image = bench.generate(seed=1, hires=HiresPass(model="four", upscaler="lanczos")).images[0]
    assert (image.width, image.height) == (64, 64)
    previews = [event.preview for event in bench.events if isinstance(event, StepCompleted)]
    assert len(previews) == 8
    assert all(previews)


def test_latents_lead_only_to_those_of_the_same_kind(bench: ReplayBench) -> None:
    with pytest.raises(BadInput, match="Choose an upscaler that works on pixels"):
        bench.generate(seed=1, hires=HiresPass(model="four"))


def test_what_is_left_open_is_as_the_other_family_recommends(bench: ReplayBench) -> None:
    request = GenerationRequest(model="gauss", hires=HiresPass(model="four"))
    second = resolve(request, bench.context).hires
    assert second is not None
    asked = second.request
    assert (asked.sampler, asked.scheduler, asked.cfg_scale, asked.clip_skip) == ("heun", "normal", 1.0, 2)
    assert asked.steps == 4  # as many as the first pass


def test_what_was_asked_for_holds_for_both_families(bench: ReplayBench) -> None:
    request = GenerationRequest(
        model="gauss", sampler="dpmpp_2m", scheduler="karras", cfg_scale=3.0, hires=HiresPass(model="four")
    )
    second = resolve(request, bench.context).hires
    assert second is not None
    asked = second.request
    assert (asked.sampler, asked.scheduler, asked.cfg_scale) == ("dpmpp_2m", "karras", 3.0)
