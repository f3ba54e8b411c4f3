"""An autoencoder run in strips of rows: the same picture as from the whole run, in far less memory.

Run whole, every layer holds several maps of the whole picture at once, and what convolutions need besides.
Here each layer goes over its map in strips: a convolution reads its strip with the rows above and below that
it needs, group normalisation knows the moments of the whole map (they are taken while it is written), and
attention, at the lowest resolution, looks at all of it, some queries at a time. No part is computed twice and
no seam can be: what is left in memory is one map, the one that comes of it, and a strip. The maps may lie on
another device than the one that computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_networks.attention import attention

if TYPE_CHECKING:
    from sfumato_networks.autoencoder import Decoder, Encoder, Middle, ResidualBlock, SpatialAttention

Activation = Callable[[Tensor], Tensor]
OnSweep = Callable[[int, int], None]
"""Told layers done and layers in all."""

STRIP_COPIES = 6
"""Strips at work at once: as read, normalised in float32, activated, padded, as the convolution likes it."""


def kept_values(widths: Sequence[int], pixels: int) -> int:
    """Numbers in the maps kept at a time, at most, of an autoencoder with levels of these channels."""
    most = 0
    for level, (own, coarser) in enumerate(pairwise([*widths, widths[-1]])):
        finer = widths[level - 1] if level else own
        decoding = max(coarser + own, coarser + coarser // 4)
        encoding = 2 * own + (finer if finer != own else 0)
        most = max(most, (pixels >> 2 * level) * max(decoding, encoding))
    return most


class FeatureMap:
    """A map [c, h, w] that is written strip by strip, and knows the moments of each channel then."""

    def __init__(self, data: Tensor) -> None:
        self.data = data
        self._rows = 0
        self._mean = self._variance = torch.zeros(len(data), dtype=torch.float64)

    @property
    def height(self) -> int:
        return self.data.shape[1]

    def read(self, first: int, last: int, device: torch.device) -> Tensor:
        """The rows [1, c, last - first, w] on a device."""
        return self.data[None, :, first:last].to(device)

    def write(self, first: int, strip: Tensor) -> None:
        """Take over rows [1, c, n, w] from `first` on; each row once."""
        rows = strip.shape[2]
        self.data[:, first : first + rows].copy_(strip[0])
        variance, mean = (
            moment.double().cpu() for moment in torch.var_mean(strip[0].float(), dim=(1, 2), correction=0)
        )
        # Chan et al. 1983, "Algorithms for computing the sample variance".
        share = rows / (self._rows + rows)
        shift = mean - self._mean
        self._variance = self._variance.lerp(variance, share) + share * (1 - share) * shift**2
        self._mean = self._mean.lerp(mean, share)
        self._rows += rows

    def normalisation(self, norm: nn.GroupNorm, device: torch.device) -> Activation:
        """Group normalisation of strips of this map by the moments of the whole of it, then SiLU."""
        means, variances = (moment.view(norm.num_groups, -1) for moment in (self._mean, self._variance))
        mean = means.mean(1, keepdim=True)
        variance = (variances + (means - mean) ** 2).mean(1, keepdim=True)
        weight, bias = (tensor.double().cpu() for tensor in (norm.weight, norm.bias))
        scale = weight * (variance + norm.eps).rsqrt().expand_as(means).reshape(-1)
        shift = bias - mean.expand_as(means).reshape(-1) * scale
        scale, shift = (tensor.float().to(device)[None, :, None, None] for tensor in (scale, shift))

        def activate(strip: Tensor) -> Tensor:
            return F.silu(torch.addcmul(shift, strip.float(), scale).to(strip.dtype))

        return activate


@dataclass(frozen=True)
class Strips:
    """How an autoencoder is run in strips.

    Attributes:
        values: About how many numbers a strip has, of the wider of the maps before and after.
        storage: The device that keeps the maps; by default the one that computes.
        on_sweep: Told layers done and layers in all.
        check: Called before each strip; what it raises ends the work.
    """

    values: int
    storage: str | None = None
    on_sweep: OnSweep = lambda done, total: None
    check: Callable[[], None] = lambda: None

    def decode(self, decoder: Decoder, latents: Tensor) -> Tensor:
        """What the decoder makes of latents [b, latent, h, w]; one picture after another."""
        run = _Run(self, decoder, len(latents))
        return torch.cat([run.decoded(decoder, one) for one in latents])

    def encode(self, encoder: Encoder, images: Tensor) -> Tensor:
        """What the encoder makes of images [b, in, h, w]; one picture after another."""
        run = _Run(self, encoder, len(images))
        return torch.cat([run.encoded(encoder, one) for one in images])


class _Run:
    """One run of an encoder or decoder."""

    def __init__(self, strips: Strips, network: nn.Module, count: int) -> None:
        self._strips = strips
        self._done = 0
        self._total = count * sum(
            isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in network.modules()
        )

    def decoded(self, decoder: Decoder, latents: Tensor) -> Tensor:
        x = self._middle(decoder.mid, self._convolved(decoder.conv_in, FeatureMap(latents)))
        for level in reversed(_listed(decoder.up)):
            for block in level.block:
                x = self._residual(block, x)
            if level.upsample is not None:
                x = self._convolved(level.upsample.conv, x, enlarged=2)
        activate = x.normalisation(decoder.norm_out, decoder.conv_out.weight.device)
        return self._convolved(decoder.conv_out, x, activate).data[None].to(latents.device)

    def encoded(self, encoder: Encoder, images: Tensor) -> Tensor:
        x = self._convolved(encoder.conv_in, FeatureMap(images))
        for level in _listed(encoder.down):
            for block in level.block:
                x = self._residual(block, x)
            if level.downsample is not None:
                x = self._convolved(level.downsample.conv, x)
        x = self._middle(encoder.mid, x)
        activate = x.normalisation(encoder.norm_out, encoder.conv_out.weight.device)
        return self._convolved(encoder.conv_out, x, activate).data[None].to(images.device)

    def _middle(self, middle: Middle, x: FeatureMap) -> FeatureMap:
        x = self._residual(middle.block_1, x)
        if middle.attn_1 is not None:
            x = self._attended(middle.attn_1, x)
        return self._residual(middle.block_2, x)

    def _residual(self, block: ResidualBlock, x: FeatureMap) -> FeatureMap:
        """The block's result, which takes the place of `x`."""
        device = block.conv1.weight.device
        h = self._convolved(block.conv1, x, x.normalisation(block.norm1, device))
        if block.nin_shortcut is not None:
            wide, narrow = block.nin_shortcut.in_channels, block.nin_shortcut.out_channels
            # Where channels become fewer, they are written over those that they are made of.
            own = FeatureMap(x.data[:narrow]) if narrow <= wide else None
            x = self._convolved(block.nin_shortcut, x, onto=own)
        result = self._convolved(block.conv2, h, h.normalisation(block.norm2, device), added_to=x)
        del h
        if not result.data.is_contiguous() or result.data.untyped_storage().nbytes() > result.data.nbytes:
            result.data = result.data.clone()
        return result

    def _attended(self, layer: SpatialAttention, x: FeatureMap) -> FeatureMap:
        device = layer.q.weight.device
        given = x.read(0, x.height, device)
        normed = layer.norm(given)
        q, k, v = (
            project(normed).flatten(2).transpose(1, 2).unsqueeze(1) for project in (layer.q, layer.k, layer.v)
        )
        queries = max(self._strips.values // k.shape[2], 1)
        found = []
        for part in q.split(queries, dim=2):
            self._strips.check()
            found.append(attention(part, k, v))
        attended = torch.cat(found, dim=2).squeeze(1).transpose(1, 2).reshape(given.shape)
        result = FeatureMap(x.data)
        result.write(0, given + layer.proj_out(attended))
        return result

    def _convolved(
        self,
        convolution: nn.Conv2d,
        source: FeatureMap,
        activate: Activation | None = None,
        *,
        enlarged: int = 1,
        onto: FeatureMap | None = None,
        added_to: FeatureMap | None = None,
    ) -> FeatureMap:
        """One sweep over a map.

        Args:
            activate: What comes before the convolution.
            enlarged: How often each row and column of the source is repeated first.
            onto: Where the result goes; a new map otherwise.
            added_to: What the result is added to, and where it goes.
        """
        device, stride = convolution.weight.device, convolution.stride[0]
        height, width = (side * enlarged // stride for side in source.data.shape[1:])
        if added_to is not None:
            onto = FeatureMap(added_to.data)
        elif onto is None:
            size = (convolution.out_channels, height, width)
            storage = self._strips.storage or device
            onto = FeatureMap(torch.empty(size, dtype=convolution.weight.dtype, device=storage))
        widest = max(convolution.in_channels * stride**2, convolution.out_channels)
        for first, last in _ranges(height, max(self._strips.values // (widest * width), 1)):
            self._strips.check()
            strip = _convolved_rows(convolution, source, activate, (first, last), enlarged)
            if added_to is not None:
                strip += added_to.read(first, last, device)
            onto.write(first, strip)
        if convolution.kernel_size == (3, 3):
            self._done += 1
            self._strips.on_sweep(self._done, self._total)
        return onto


def _listed(modules: nn.ModuleList) -> list[Any]:
    """As what they are; type checkers know of modules alone."""
    return list(modules)


def _ranges(length: int, size: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + size, length)) for first in range(0, length, size))


def _convolved_rows(
    convolution: nn.Conv2d,
    source: FeatureMap,
    activate: Activation | None,
    rows: tuple[int, int],
    enlarged: int,
) -> Tensor:
    """Some rows [1, out, n, w] of what a convolution makes of a whole map."""
    device, height = convolution.weight.device, source.height * enlarged
    stride, padding = convolution.stride[0], int(convolution.padding[0])
    first = rows[0] * stride - padding
    last = (rows[1] - 1) * stride - padding + convolution.kernel_size[0]
    wraps = convolution.padding_mode == "circular" and padding > 0

    def read(start: int, end: int) -> Tensor:
        strip = source.read(start // enlarged, -(-end // enlarged), device)
        if activate is not None:
            strip = activate(strip)
        if enlarged > 1:
            strip = F.interpolate(strip, scale_factor=float(enlarged), mode="nearest")
            strip = strip[:, :, start % enlarged : start % enlarged + end - start]
        return strip

    above, below = max(-first, 0), max(last - height, 0)
    strip = read(max(first, 0), min(last, height))
    if wraps:
        strip = torch.cat(
            [*([read(height - above, height)] if above else []), strip, *([read(0, below)] if below else [])],
            2,
        )
        strip = F.pad(strip, (padding, padding, 0, 0), mode="circular")
        return F.conv2d(strip, convolution.weight, convolution.bias)
    right = 1 if stride > 1 else 0  # as `Downsample` pads
    if above or below or right:
        strip = F.pad(strip, (0, right, above, below))
    return F.conv2d(strip, convolution.weight, convolution.bias, stride, (0, padding))
