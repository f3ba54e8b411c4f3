"""The decoder of the Tiny AutoEncoder (TAESD, https://github.com/madebyollin/taesd): latents to previews.

Its layers stand in one row and are named by their number there, as in its author's files; diffusers'
`AutoencoderTiny` counts one less. What each layer is, and its size, is read off the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import CheckpointError
from sfumato_networks.pickled_file import read_pickled
from sfumato_networks.safetensors_file import MappedTensors
from sfumato_networks.weights import build_empty, load_network

Shape = tuple[int, ...]

_BLOCK = re.compile(r"(?P<prefix>(?:.*\.)?)(?P<number>\d+)\.conv\.0\.weight")
_LAYER = re.compile(r"(?P<number>\d+)\.(?:conv\.[024]\.(?:weight|bias)|skip\.weight|weight|bias)")


class SoftClamp(nn.Module):
    """Keeps latents within -3..3: 3 tanh(x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / 3).tanh() * 3


class Block(nn.Module):
    """Three 3x3 convolutions around a shortcut, then ReLU: [b, in, h, w] -> [b, out, h, w]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + self.skip(x))


class TinyDecoder(nn.Sequential):
    """Latents [b, c, h, w], as diffusion models have them, to pixels [b, 3, 8 h, 8 w] in about 0..1."""

    @property
    def latent_channels(self) -> int:
        return next(layer.in_channels for layer in self if isinstance(layer, nn.Conv2d))

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Shape]) -> TinyDecoder:
        """Build what has tensors of these names and shapes.

        Raises:
            ValueError: there is no such decoder.
        """
        last = max((int(match["number"]) for name in shapes if (match := _LAYER.fullmatch(name))), default=0)
        if not all(map(_LAYER.fullmatch, shapes)) or not 0 < last < 100:
            raise ValueError("its tensors are not those of a tiny decoder")
        layers: list[nn.Module] = [SoftClamp()]
        for number in range(1, last + 1):
            layers.append(_layer(number, shapes))
        return cls(*layers)


def _layer(number: int, shapes: Mapping[str, Shape]) -> nn.Module:
    """What has tensors, and what can be told by standing before them: a ReLU, or an enlargement."""
    if (block := shapes.get(f"{number}.conv.0.weight")) is not None:
        return Block(block[1], block[0])
    if (weight := shapes.get(f"{number}.weight")) is not None:
        return nn.Conv2d(weight[1], weight[0], 3, padding=1, bias=f"{number}.bias" in shapes)
    enlarges = f"{number + 1}.weight" in shapes
    return nn.Upsample(scale_factor=2) if enlarges else nn.ReLU()


def load_tiny_decoder(path: Path, device: str) -> TinyDecoder:
    """The decoder in a file, in float32.

    Args:
        path: A .safetensors or pickled file of the decoder, or of encoder and decoder.
        device: A torch device name.

    Raises:
        CheckpointError: it is damaged, unsafe, or no tiny decoder.
    """
    stored = MappedTensors(path) if path.suffix.lower() == ".safetensors" else read_pickled(path)
    tensors = {new: stored[old] for old, new in original_names(stored).items()}
    try:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        network = build_empty(lambda: TinyDecoder.from_shapes(shapes))
    except (ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"'{path.name}' is no preview decoder.",
            why="It holds no tiny autoencoder (TAESD) of a known layout.",
            hint="Get it again from https://github.com/madebyollin/taesd.",
        ) from error
    return load_network(network, tensors, torch.float32, device, where=path.name)


def original_names(names: Iterable[str]) -> dict[str, str]:
    """The author's name of each tensor of the decoder, by its name in the file; others are left out."""
    names = list(names)
    found = {match["prefix"] for name in names if (match := _BLOCK.fullmatch(name))}
    prefixes = sorted(prefix for prefix in found if "encoder" not in prefix)
    if not prefixes:
        return {}
    prefix = prefixes[0]
    shift = 1 if f"{prefix}0.weight" in names else 0  # diffusers has no layer for the clamp
    renamed: dict[str, str] = {}
    for name in names:
        number, dot, rest = name.removeprefix(prefix).partition(".")
        if name.startswith(prefix) and number.isdigit() and dot:
            renamed[name] = f"{int(number) + shift}.{rest}"
    return renamed
