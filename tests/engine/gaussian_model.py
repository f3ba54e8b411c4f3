"""A real, exact and tiny model: pictures are Gaussian around a colour that the prompt names.

For data N(m, s^2) and a flow model's ``x = (1 - sigma) x0 + sigma noise`` the clean estimate has a closed
form, so the engine can be tested end to end without weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from sfumato.errors import BadInput, UnknownName
from sfumato.models import CheckpointHeader, LatentFormat, LayerTarget, ModelInfo, Placement, PromptText
from sfumato.noise_schedule import NoiseSchedule, flow_schedule
from sfumato.request import RequestDefaults

SPREAD = 0.3
BYTES_A_PIXEL = 100
DECODING_BYTES_A_PIXEL = 300


class GaussianOptions(BaseModel):
    guidance: float = Field(
        default=3.5, json_schema_extra={"infotext": "Distilled CFG Scale", "variants": ["dev"]}
    )
    length: int = Field(default=8, ge=1, json_schema_extra={"encodes": True})
    body_dtype: str = Field(default="auto", json_schema_extra={"parts": ["body"]})


class GaussianModel:
    """Latents are 3 channels at an eighth of the size; decoding repeats them."""

    latent_format = LatentFormat(
        channels=3, size_multiple=16, rgb_factors=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )

    def __init__(self, info: ModelInfo, placement: Placement) -> None:
        self.info = info
        self.placement = placement
        self.device = placement.device
        self.files: Mapping[str, Sequence[Path]] = {"transformer": (info.path,)}
        self.networks: Mapping[str, Any] = {}
        self.encoded: list[PromptText] = []
        self.shown: list[Tensor] = []
        self.batches: list[int] = []
        self.decoded: list[int] = []
        self.pictures: list[tuple[int, ...]] = []
        self.contrast = 0.25

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        return {}

    def noise_schedule(self, width: int, height: int, options: Mapping[str, Any]) -> NoiseSchedule:
        return flow_schedule(2.0)

    def condition(self, text: PromptText, options: Mapping[str, Any]) -> Tensor:
        self.encoded.append(text)
        pieces = [piece for chunk in text.chunks for piece in chunk]
        generator = torch.Generator().manual_seed(sum(map(ord, "".join(piece for piece, _ in pieces))))
        return torch.randn(3, 1, 1, generator=generator) * sum(weight for _, weight in pieces)

    def see(self, pixels: Tensor, mask: Tensor) -> Any:
        raise BadInput("The Gaussian model sees no picture.")

    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Tensor],
        options: Mapping[str, Any],
        *,
        picture: Any = None,
    ) -> Tensor:
        self.batches.append(len(x))
        self.shown.append(conditioning[0])
        mean = torch.stack(list(conditioning))
        signal = (1 - sigma) * SPREAD**2
        return mean + (x - (1 - sigma) * mean) * signal / ((1 - sigma) * signal + sigma**2)

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded.append(len(latents))
        return (
            torch.nn.functional.interpolate(latents, scale_factor=8).mul(self.contrast).add(0.5).clamp(0, 1)
        )

    def encode(self, pixels: Tensor) -> Tensor:
        self.pictures.append(tuple(pixels.shape))
        return torch.nn.functional.avg_pool2d(pixels.sub(0.5).mul(4), 8)

    def sampling_memory(self, width: int, height: int, batch_size: int, options: Mapping[str, Any]) -> int:
        return width * height * batch_size * BYTES_A_PIXEL

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        return width * height * batch_size * DECODING_BYTES_A_PIXEL


class GaussianFamily:
    options = GaussianOptions

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo, library: Any, placement: Placement) -> GaussianModel:
        return GaussianModel(info, placement)


class OneModelLibrary:
    """A model library with a single file in it."""

    def __init__(self, path: Path, variant: str = "dev", ignores: tuple[str, ...] = ()) -> None:
        defaults = RequestDefaults(steps=4, width=32, height=32, cfg_scale=2.0, scheduler="flow")
        self.info = ModelInfo(
            name="gauss",
            family="gaussian",
            variant=variant,
            path=path,
            defaults=defaults,
            ignores=ignores,
        )

    def find(self, name: str | None) -> ModelInfo:
        if name not in (None, "gauss"):
            raise UnknownName("model", str(name), ["gauss"])
        return self.info

    def files(self, folder: str) -> list[Path]:
        return []

    def known_sha256(self, path: Path) -> str:
        return ""

    def sha256(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()
