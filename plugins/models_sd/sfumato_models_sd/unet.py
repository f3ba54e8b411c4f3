"""The UNet of Stable Diffusion in the layout of the original checkpoints (LDM, SGM).

Rombach et al. 2022, "High-resolution image synthesis with latent diffusion models" (arXiv:2112.10752):
residual blocks that know the time (Dhariwal & Nichol 2021, arXiv:2105.05233), between them transformers in
which pixels attend to each other and to the prompt. SDXL (Podell et al. 2023, arXiv:2307.01952) adds a vector
of the pooled prompt and the picture's sizes to the time.

Shapes below: b pictures of h x w latents, n = h·w pixels, m text tokens, c channels of a layer.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_models_sd.config import NORM_GROUPS, Block, LayerSizes, UNetConfig
from sfumato_networks.attention import attention

MAX_PERIOD = 10_000


def sinusoids(values: Tensor, features: int) -> Tensor:
    """Features [b, features] of timesteps, sizes or scores [b], float32: all cosines, then all sines."""
    half = features // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) / half * torch.arange(half, device=values.device))
    angles = values.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def embedder(size: int, hidden_size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the time added between them, around a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, time_size: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, in_channels),
            nn.SiLU(inplace=True),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_size, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, out_channels),
            nn.SiLU(inplace=True),
            nn.Identity(),  # dropout in training; keeps the numbering
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.in_layers(x).add_(self.emb_layers(time)[:, :, None, None])
        return self.out_layers(h).add_(self.skip_connection(x))


class CrossAttention(nn.Module):
    """Attention of x [b, n, c] to a context [b, m, context_size]."""

    def __init__(self, channels: int, context_size: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_size, channels, bias=False)
        self.to_v = nn.Linear(context_size, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self._heads(self.to_q(x)), self._heads(self.to_k(context)), self._heads(self.to_v(context))
        return self.to_out(attention(q, k, v).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_size)).transpose(1, 2)


class GEGLU(nn.Module):
    """A gated linear unit (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, size: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Linear(size, 2 * hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GEGLU(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Pixels attend to each other, then to the prompt, then each goes through an MLP."""

    def __init__(self, channels: int, context_size: int, head_size: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(channels, channels, head_size)
        self.attn2 = CrossAttention(channels, context_size, head_size)
        self.ff = FeedForward(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of [b, c, h, w], with a residual."""

    def __init__(self, channels: int, depth: int, config: UNetConfig) -> None:
        super().__init__()
        self.linear_projection = config.linear_projection
        self.norm = nn.GroupNorm(NORM_GROUPS, channels, eps=1e-6)
        self.proj_in = self._projection(channels)
        head_size = config.head_size(channels)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, config.context_size, head_size) for _ in range(depth)
        )
        self.proj_out = self._projection(channels)

    def _projection(self, channels: int) -> nn.Module:
        return nn.Linear(channels, channels) if self.linear_projection else nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h, w = x.shape[2:]
        tokens = self.norm(x)
        if self.linear_projection:
            tokens = self.proj_in(to_tokens(tokens))
        else:
            tokens = to_tokens(self.proj_in(tokens))
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        if self.linear_projection:
            return x + to_pixels(self.proj_out(tokens), h, w)
        return x + self.proj_out(to_pixels(tokens, h, w))


def to_tokens(x: Tensor) -> Tensor:
    """[b, c, h, w] -> [b, h·w, c]."""
    return x.flatten(2).transpose(1, 2)


def to_pixels(tokens: Tensor, h: int, w: int) -> Tensor:
    """[b, h·w, c] -> [b, c, h, w]."""
    return tokens.transpose(1, 2).unflatten(2, (h, w))


class Downsample(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Repeats pixels up to the size of what is met next, then convolves."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        return self.conv(F.interpolate(x, size=size, mode="nearest"))


class UNet(nn.Module):
    """What was added to a noisy picture (eps) or the velocity (v), by its noise level and prompt."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.time_embed = embedder(config.model_channels, config.time_size)
        self.label_emb = (
            nn.Sequential(embedder(config.label_size, config.time_size)) if config.label_size else None
        )
        self.input_blocks = nn.ModuleList(_block(block, config) for block in config.input_blocks)
        self.middle_block = _block(config.middle_block, config)
        self.output_blocks = nn.ModuleList(_block(block, config) for block in config.output_blocks)
        last = config.output_blocks[-1][-1].out_channels
        self.out = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, last), nn.SiLU(), nn.Conv2d(last, config.out_channels, 3, padding=1)
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights, which inputs must have."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, label: Tensor | None = None) -> Tensor:
        """The prediction [b, out_channels, h, w].

        ``x`` [b, in_channels, h, w], of unit variance; ``timesteps`` [b], fractions allowed, in
        0..999; ``context`` [b, m, context_size]; ``label`` [b, label_size], needed if and only if the config
        says so (ValueError otherwise).
        """
        if (label is None) != (self.label_emb is None):
            raise ValueError("a label must be given to a model that takes one, and to no other")
        time = self.time_embed(sinusoids(timesteps, self.config.model_channels).to(x.dtype))
        if self.label_emb is not None:
            time = time + self.label_emb(label)
        skipped: list[Tensor] = []
        for block in self.input_blocks:
            x = _run(block, x, time, context)
            skipped.append(x)
        x = _run(self.middle_block, x, time, context)
        for block in self.output_blocks:
            x = torch.cat((x, skipped.pop()), dim=1)
            x = _run(block, x, time, context, skipped[-1].shape[2:] if skipped else None)
        return self.out(x)


def _block(block: Block, config: UNetConfig) -> nn.ModuleList:
    return nn.ModuleList(_layer(layer, config) for layer in block)


def _layer(layer: LayerSizes, config: UNetConfig) -> nn.Module:
    match layer.kind:
        case "convolution":
            return nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
        case "residual":
            return ResidualBlock(layer.in_channels, layer.out_channels, config.time_size)
        case "transformer":
            return SpatialTransformer(layer.in_channels, layer.depth, config)
        case "downsample":
            return Downsample(layer.in_channels, layer.out_channels)
        case "upsample":
            return Upsample(layer.in_channels, layer.out_channels)


def _run(
    block: nn.Module, x: Tensor, time: Tensor, context: Tensor, next_size: torch.Size | None = None
) -> Tensor:
    """One block; ``next_size`` is that of the pixels that the next block meets."""
    for layer in block.children():
        if isinstance(layer, ResidualBlock):
            x = layer(x, time)
        elif isinstance(layer, SpatialTransformer):
            x = layer(x, context)
        elif isinstance(layer, Upsample):
            x = layer(x, next_size or torch.Size(2 * side for side in x.shape[2:]))
        else:
            x = layer(x)
    return x
