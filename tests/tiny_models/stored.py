"""A Flux as it lies in a file, for the oracle: read by the safetensors library, not by ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from sfumato_models_flux.config import FluxConfig
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.clip_text import ClipTextConfig
from sfumato_networks.t5_encoder import T5Config


class StoredFlux:
    """A checkpoint in ComfyUI's layout, read by the safetensors library in float32."""

    def __init__(self, path: Path) -> None:
        self._tensors = {name: tensor.float() for name, tensor in load_file(path).items()}

    def transformer(self) -> dict[str, Tensor]:
        return self._part("model.diffusion_model.")

    def autoencoder(self) -> dict[str, Tensor]:
        return self._part("vae.")

    def clip(self) -> dict[str, Tensor]:
        return self._part("text_encoders.clip_l.transformer.")

    def t5(self) -> dict[str, Tensor]:
        return self._part("text_encoders.t5xxl.transformer.")

    @property
    def transformer_config(self) -> FluxConfig:
        return FluxConfig.from_shapes(shapes(self.transformer()))

    @property
    def autoencoder_config(self) -> AutoencoderConfig:
        return AutoencoderConfig.from_shapes(shapes(self.autoencoder()))

    @property
    def clip_config(self) -> ClipTextConfig:
        return ClipTextConfig.from_shapes(shapes(self.clip()))

    @property
    def t5_config(self) -> T5Config:
        return T5Config.from_shapes(shapes(self.t5()))

    def _part(self, prefix: str) -> dict[str, Tensor]:
        whole = self._tensors.items()
        return {name.removeprefix(prefix): tensor for name, tensor in whole if name.startswith(prefix)}


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
