"""Chroma's transformer: Flux's blocks, whose modulations one small network makes for all of them at once.

In Flux every block has a layer of its own for them, a quarter of all weights; without a pooled text all they
depend on is the time. Chroma's approximator is asked for each modulation by its number and the time.
Shapes below: b pictures, n image tokens, m text tokens, D features, K modulations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato_models_flux.chroma.config import ChromaConfig
from sfumato_models_flux.transformer import (
    DoubleBlock,
    Embedder,
    RMSNorm,
    SingleBlock,
    modulate,
    rotary_table,
    sinusoids,
    through_blocks,
)


class Approximator(nn.Module):
    """Makes a table of modulations [b, K, D] of their descriptions [b, K, features]."""

    def __init__(self, config: ChromaConfig) -> None:
        super().__init__()
        width = config.approximator_size
        self.in_proj = nn.Linear(config.approximator_features, width)
        self.layers = nn.ModuleList(Embedder(width, width) for _ in range(config.approximator_layers))
        self.norms = nn.ModuleList(RMSNorm(width) for _ in range(config.approximator_layers))
        self.out_proj = nn.Linear(width, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_proj(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + layer(norm(x))
        return self.out_proj(x)


class TableModulation(nn.Module):
    """Takes a block's modulations, ``parts`` tensors [b, 1, D], from the table [b, K, D] of all of them."""

    def __init__(self, start: int, parts: int) -> None:
        super().__init__()
        self.start = start
        self.parts = parts

    def forward(self, table: Tensor) -> tuple[Tensor, ...]:
        return table[:, self.start : self.start + self.parts].split(1, dim=1)


class FinalLayer(nn.Module):
    """The last two rows of the table are its shift and scale."""

    def __init__(self, config: ChromaConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.hidden_size, config.out_channels)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        shift, scale = table[:, -2:].split(1, dim=1)
        return self.linear(modulate(x, shift, scale))


class ChromaTransformer(nn.Module):
    """The velocity field of Chroma: the direction from clean latents to noise."""

    def __init__(self, config: ChromaConfig) -> None:
        super().__init__()
        self.config = config
        # In the table: the single blocks' modulations, then those of images, then those of texts.
        of_img = 3 * config.single_blocks
        of_txt = of_img + 6 * config.double_blocks
        self.img_in = nn.Linear(config.in_channels, config.hidden_size)
        self.txt_in = nn.Linear(config.context_size, config.hidden_size)
        self.distilled_guidance_layer = Approximator(config)
        self.double_blocks = nn.ModuleList(
            DoubleBlock(config, TableModulation(of_img + 6 * i, 6), TableModulation(of_txt + 6 * i, 6))
            for i in range(config.double_blocks)
        )
        self.single_blocks = nn.ModuleList(
            SingleBlock(config, TableModulation(3 * i, 3)) for i in range(config.single_blocks)
        )
        self.final_layer = FinalLayer(config)

    def forward(self, image_tokens: Tensor, timesteps: Tensor, context: Tensor, rotary: Tensor) -> Tensor:
        """Velocity [b, n, out_channels].

        ``image_tokens`` [b, n, in_channels] (see `pack`); ``timesteps`` [1] or [b], 0 clean to 1 noise;
        ``context`` [b, m, context_size], T5's states of all tokens that count and of one padding token;
        ``rotary`` [m + n, d/2], what `rotary` makes of the tokens' positions.
        """
        table = self.distilled_guidance_layer(self._descriptions(timesteps).to(image_tokens.dtype))
        img, txt = self.img_in(image_tokens), self.txt_in(context)
        img = through_blocks(self.double_blocks, self.single_blocks, img, txt, table, rotary)
        return self.final_layer(img, table)

    def rotary(self, image_ids: Tensor, text_ids: Tensor) -> Tensor:
        """As `FluxTransformer.rotary`."""
        return rotary_table(torch.cat((text_ids, image_ids)), self.config.axes, self.config.theta)

    def _descriptions(self, timesteps: Tensor) -> Tensor:
        """Of all modulations at these times [b, K, features]: time, a guidance of 0, and number."""
        features, count = self.config.approximator_features, self.config.modulations
        time = sinusoids(timesteps, features // 4)
        guidance = sinusoids(torch.zeros_like(timesteps), features // 4)
        number = sinusoids(torch.arange(count, device=timesteps.device), features // 2)
        moment = torch.cat((time, guidance), dim=-1)[:, None].expand(-1, count, -1)
        return torch.cat((moment, number.expand(len(timesteps), -1, -1)), dim=-1)
