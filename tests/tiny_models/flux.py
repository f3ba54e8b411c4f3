"""A tiny random Flux: its sizes, and the tensors of its parts in the layouts of real checkpoints."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from sfumato_models_flux.config import FluxConfig, default_axes, expected_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato_networks.autoencoder import AutoencoderConfig
    from sfumato_networks.clip_text import ClipTextConfig
    from sfumato_networks.t5_encoder import T5Config


@dataclass(frozen=True)
class TinyFlux:
    """Sizes of a tiny Flux; the same sizes and seed make the same tensors everywhere."""

    heads: int = 2
    head_size: int = 32
    double_blocks: int = 1
    single_blocks: int = 2
    context_size: int = 32
    vector_size: int = 64
    latent_channels: int = 16
    guidance: bool = False
    picture_channels: int = 0
    seed: int = 0

    @property
    def transformer_config(self) -> FluxConfig:
        return FluxConfig(
            in_channels=4 * self.latent_channels + self.picture_channels,
            hidden_size=self.heads * self.head_size,
            heads=self.heads,
            double_blocks=self.double_blocks,
            single_blocks=self.single_blocks,
            context_size=self.context_size,
            vector_size=self.vector_size,
            axes=default_axes(self.head_size),
            guidance=self.guidance,
            picture_channels=self.picture_channels,
        )

    @property
    def autoencoder_config(self) -> AutoencoderConfig:
        from sfumato_networks.autoencoder import AutoencoderConfig

        return AutoencoderConfig(
            base_channels=16,
            channel_multipliers=(1, 2, 2, 2),
            blocks_per_level=1,
            latent_channels=self.latent_channels,
            norm_groups=8,
        )

    @property
    def clip_config(self) -> ClipTextConfig:
        from sfumato_networks.clip_text import ClipTextConfig

        from .tokenizers import CLIP_LENGTH, clip_vocabulary

        return ClipTextConfig(
            vocab_size=len(clip_vocabulary()),
            hidden_size=self.vector_size,
            intermediate_size=2 * self.vector_size,
            layers=2,
            positions=CLIP_LENGTH,
        )

    @property
    def t5_config(self) -> T5Config:
        from sfumato_networks.t5_encoder import T5Config

        from .tokenizers import t5_vocabulary

        return T5Config(
            vocab_size=len(t5_vocabulary()),
            width=self.context_size,
            ff_width=2 * self.context_size,
            layers=2,
            heads=2,
            head_size=16,
        )

    def transformer(self) -> dict[str, Tensor]:
        """Black Forest Labs' names."""
        return random_tensors(expected_shapes(self.transformer_config), self.seed)

    def autoencoder(self) -> dict[str, Tensor]:
        """LDM's names."""
        from sfumato_networks.autoencoder import Autoencoder

        return random_tensors(_shapes(Autoencoder, self.autoencoder_config), self.seed)

    def clip(self) -> dict[str, Tensor]:
        """The names of transformers' `CLIPTextModel`."""
        from sfumato_networks.clip_text import ClipText

        return random_tensors(_shapes(ClipText, self.clip_config), self.seed)

    def t5(self) -> dict[str, Tensor]:
        """The names of transformers' `T5EncoderModel`."""
        from sfumato_networks.t5_encoder import T5Encoder

        return random_tensors(_shapes(T5Encoder, self.t5_config), self.seed)


def _shapes(network: type, config: object) -> dict[str, tuple[int, ...]]:
    import torch

    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in network(config).state_dict().items()}


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Weights that keep signals near their size, with no trivial bias or norm in which a slip could hide."""
    import torch

    tensors = {}
    for name, shape in shapes.items():
        generator = torch.Generator().manual_seed(seed * 1_000_003 + zlib.crc32(name.encode()))
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            one = 1.0 if "norm" in name and not name.endswith("bias") else 0.0
            tensors[name] = one + 0.1 * noise
        elif "embedding" in name or name == "shared.weight":
            tensors[name] = noise
        else:
            tensors[name] = noise / prod(shape[1:]) ** 0.5
    return tensors
