"""The convolutional autoencoder of latent diffusion models, in the original (LDM, Flux) layout.

Rombach et al. 2022, "High-resolution image synthesis with latent diffusion models" (arXiv:2112.10752).
Sizes are read from the weights, so that one module serves Stable Diffusion, Flux and tiny models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_networks.attention import attention
from sfumato_networks.shapes import count_blocks
from sfumato_networks.strips import STRIP_COPIES, OnSweep, Strips, kept_values

EPSILON = 1e-6
"""Of every group normalisation, as in the reference implementations."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of an autoencoder. Level ``i`` has ``base_channels * channel_multipliers[i]`` channels."""

    in_channels: int = 3
    base_channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks_per_level: int = 2
    latent_channels: int = 16
    norm_groups: int = 32
    mid_attention: bool = True
    quant_convolutions: bool = False

    @property
    def downscale(self) -> int:
        """Pixels per latent along one side."""
        return 1 << (len(self.channel_multipliers) - 1)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> AutoencoderConfig:
        """Read the sizes from tensor names and shapes.

        The number of normalisation groups leaves no trace in the weights: 32 where the base channels
        allow it, as in all published models, otherwise half of them. KeyError names a missing tensor.
        """
        base, in_channels = shapes["encoder.conv_in.weight"][:2]
        levels = max(count_blocks(shapes, "encoder.down."), 1)
        widths = [shapes[f"encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels)]
        return cls(
            in_channels=in_channels,
            base_channels=base,
            channel_multipliers=tuple(width // base for width in widths),
            blocks_per_level=count_blocks(shapes, "encoder.down.0.block."),
            latent_channels=shapes["decoder.conv_in.weight"][1],
            norm_groups=32 if base % 32 == 0 else base // 2,
            mid_attention="encoder.mid.attn_1.q.weight" in shapes,
            quant_convolutions="quant_conv.weight" in shapes,
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions after norm and SiLU, around a shortcut: [b, in, h, w] -> [b, out, h, w]."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=EPSILON)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=EPSILON)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class SpatialAttention(nn.Module):
    """One-head self-attention over all pixels of ``[b, c, h, w]``, with a residual."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.q, self.k, self.v))
        attended = attention(q, k, v)
        return x + self.proj_out(attended.squeeze(1).transpose(1, 2).reshape(x.shape))


class Downsample(nn.Module):
    """Halves the sides by a strided convolution; the zeros it needs lie at the bottom and right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the sides by repeating pixels, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The residual blocks of one resolution, and the step to the next one where the model has it."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int, groups: int) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * blocks
        self.block = nn.ModuleList(ResidualBlock(a, b, groups) for a, b in pairwise(widths))
        self.downsample: Downsample | None = None
        self.upsample: Upsample | None = None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        if self.downsample is not None:
            x = self.downsample(x)
        if self.upsample is not None:
            x = self.upsample(x)
        return x


class Middle(nn.Module):
    """The blocks at the lowest resolution, with attention between them where the model has it."""

    def __init__(self, channels: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels, config.norm_groups)
        self.attn_1 = SpatialAttention(channels, config.norm_groups) if config.mid_attention else None
        self.block_2 = ResidualBlock(channels, channels, config.norm_groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_1(x)
        if self.attn_1 is not None:
            x = self.attn_1(x)
        return self.block_2(x)


class Encoder(nn.Module):
    """Images [b, in, h, w] -> mean and log-variance of the latents, stacked [b, 2 * latent, h/f, w/f]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = [config.base_channels * m for m in config.channel_multipliers]
        self.conv_in = nn.Conv2d(config.in_channels, config.base_channels, 3, padding=1)
        self.down = nn.ModuleList()
        width = config.base_channels
        for i, next_width in enumerate(widths):
            level = Level(width, next_width, config.blocks_per_level, config.norm_groups)
            if i < len(widths) - 1:
                level.downsample = Downsample(next_width)
            self.down.append(level)
            width = next_width
        self.mid = Middle(width, config)
        self.norm_out = nn.GroupNorm(config.norm_groups, width, eps=EPSILON)
        self.conv_out = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        h = self.conv_in(images)
        for level in self.down:
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """Latents [b, latent, h, w] -> images [b, in, h*f, w*f]. ``up[0]``, the full resolution, runs last."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = [config.base_channels * m for m in config.channel_multipliers]
        width = widths[-1]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        self.mid = Middle(width, config)
        levels = []
        for i, next_width in reversed(list(enumerate(widths))):
            level = Level(width, next_width, config.blocks_per_level + 1, config.norm_groups)
            if i > 0:
                level.upsample = Upsample(next_width)
            levels.append(level)
            width = next_width
        self.up = nn.ModuleList(reversed(levels))
        self.norm_out = nn.GroupNorm(config.norm_groups, width, eps=EPSILON)
        self.conv_out = nn.Conv2d(width, config.in_channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        h = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(h)))


class Autoencoder(nn.Module):
    """Pictures to latents and back. Scaling and shift of the latents belong to the model family, not here."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self._strips: Strips | None = None
        if config.quant_convolutions:
            self.quant_conv = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)
            self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)

    @contextmanager
    def in_strips(
        self,
        pixels: int,
        *,
        storage: str | None = None,
        on_sweep: OnSweep = lambda done, total: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Within this it runs in strips of rows, for the same result in less memory, see `strips`.

        Args:
            pixels: About how many of the picture are at work at once.
            storage: The device that keeps the maps between layers; by default the one that computes.
            on_sweep: Told layers done and layers in all.
            check: Called before each strip; what it raises ends the work.
        """
        self._strips = Strips(pixels * self.config.base_channels, storage, on_sweep, check)
        try:
            yield
        finally:
            self._strips = None

    def memory_in_strips(self, width: int, height: int, pixels: int) -> tuple[int, int]:
        """Bytes that `in_strips` needs where the maps are kept, and where it computes; beyond the weights.

        Args:
            width: Of the picture that is decoded or encoded.
            height: Of the same.
            pixels: As for `in_strips`.
        """
        config, weight = self.config, self.decoder.conv_in.weight
        widths = [config.base_channels * m for m in config.channel_multipliers]
        maps = kept_values(widths, width * height) * weight.element_size()
        strip = STRIP_COPIES * 4 * pixels * config.base_channels
        return maps, strip

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        return self.decoder.conv_in.weight.dtype

    def decode_pixels(self, latents: Tensor) -> Tensor:
        """Pixels [b, 3, h*f, w*f] in 0..1, float32, of unscaled latents of any type."""
        return self.decode(latents.to(self.dtype)).float().mul(0.5).add(0.5).clamp(0, 1)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Mean latents (unscaled), float32, of pixels [b, 3, h, w] in 0..1 of any type."""
        return self.encode((pixels * 2 - 1).to(self.dtype)).float()

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes at the peak of the decoder, its last level, for pictures of so many pixels."""
        # At full size it holds, with what convolutions need, five maps of the next level's width.
        multipliers = self.config.channel_multipliers
        channels = self.config.base_channels * multipliers[min(1, len(multipliers) - 1)]
        return batch_size * width * height * 5 * channels * self.dtype.itemsize

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each ``[b, latent, h/f, w/f]``, of images ``[b, 3, h, w]`` in -1..1."""
        strips = self._strips
        stacked = strips.encode(self.encoder, images) if strips else self.encoder(images)
        if self.config.quant_convolutions:
            stacked = self.quant_conv(stacked)
        mean, log_variance = stacked.chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def encode(self, images: Tensor) -> Tensor:
        """Mean latents (unscaled) of images [b, 3, h, w] in -1..1, sides multiples of ``downscale``."""
        return self.moments(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Images ``[b, 3, h*f, w*f]`` (about -1..1, not clamped) of unscaled latents."""
        if self.config.quant_convolutions:
            latents = self.post_quant_conv(latents)
        return self._strips.decode(self.decoder, latents) if self._strips else self.decoder(latents)
