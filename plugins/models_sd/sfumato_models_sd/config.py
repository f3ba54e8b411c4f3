"""The blocks of a Stable Diffusion UNet and what tensors such a one has. Imports no torch: detection uses it.

Every block is read off the weights, so that one network serves 1.x, 2.x, SDXL, its refiner, and models cut
down from them (SSD-1B, Segmind Vega, BK-SDM ...).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal

Shape = tuple[int, ...]

NORM_GROUPS = 32
HEAD_SIZE = 64
"""Features of a head, in all models but 1.x, which has 8 heads everywhere."""
HEADS_OF_1X = 8
CONTEXT_OF_2X = 1024

LayerKind = Literal["convolution", "residual", "transformer", "downsample", "upsample"]


@dataclass(frozen=True)
class LayerSizes:
    """One layer of a block; ``depth`` is the number of a transformer's blocks."""

    kind: LayerKind
    in_channels: int
    out_channels: int
    depth: int = 0


Block = tuple[LayerSizes, ...]


@dataclass(frozen=True)
class UNetConfig:
    """The blocks of a UNet.

    Attributes:
        label_size: Features of the vector beside the prompt (SDXL: pooled text and sizes); 0 where there is
            none.
        heads: Attention heads of every layer; 0 where heads have `HEAD_SIZE` features each.
        linear_projection: Whether transformers are entered and left by a matrix, not a 1x1 convolution.

    Raises ValueError where the channels of a layer cannot be shared among norm groups or heads.
    """

    in_channels: int
    out_channels: int
    model_channels: int
    context_size: int
    label_size: int
    heads: int
    linear_projection: bool
    input_blocks: tuple[Block, ...]
    middle_block: Block
    output_blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        for layer in self.layers():
            if layer.kind == "transformer" and layer.in_channels % (self.heads or HEAD_SIZE):
                raise ValueError(f"{layer.in_channels} channels cannot be shared among attention heads")
            if layer.kind == "residual" and (
                layer.in_channels % NORM_GROUPS or layer.out_channels % NORM_GROUPS
            ):
                raise ValueError(f"{layer.in_channels} channels cannot be shared among {NORM_GROUPS} groups")

    @property
    def time_size(self) -> int:
        return 4 * self.model_channels

    def layers(self) -> Iterator[LayerSizes]:
        """All layers, in the order of the forward pass."""
        return chain(*self.input_blocks, self.middle_block, *self.output_blocks)

    def head_size(self, channels: int) -> int:
        return channels // self.heads if self.heads else HEAD_SIZE

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Shape]) -> UNetConfig:
        """The blocks that tensors with these names and shapes make up, in LDM's layout.

        Raises KeyError naming a tensor that is not there, ValueError where blocks do not fit together.
        """
        reader = _BlockReader(shapes)
        model_channels, in_channels = shapes["input_blocks.0.0.weight"][:2]
        channels, skipped = in_channels, []
        input_blocks, output_blocks = [], []
        for number in range(reader.count("input_blocks")):
            input_blocks.append(reader.block(f"input_blocks.{number}", channels))
            channels = input_blocks[-1][-1].out_channels
            skipped.append(channels)
        middle_block = reader.block("middle_block", channels)
        if reader.count("output_blocks") != len(skipped):
            raise ValueError(f"{len(skipped)} input blocks and {reader.count('output_blocks')} output blocks")
        for number in range(len(skipped)):
            output_blocks.append(reader.block(f"output_blocks.{number}", channels + skipped.pop()))
            channels = output_blocks[-1][-1].out_channels
        linear, context_size = reader.transformers()
        return cls(
            in_channels=in_channels,
            out_channels=shapes["out.2.weight"][0],
            model_channels=model_channels,
            context_size=context_size,
            label_size=shapes["label_emb.0.0.weight"][1] if "label_emb.0.0.weight" in shapes else 0,
            heads=0 if linear or context_size == CONTEXT_OF_2X else HEADS_OF_1X,
            linear_projection=linear,
            input_blocks=tuple(input_blocks),
            middle_block=middle_block,
            output_blocks=tuple(output_blocks),
        )


_LAYER = re.compile(
    r"((?:input_blocks\.\d+|output_blocks\.\d+|middle_block)\.(\d+))\.(?:transformer_blocks\.(\d+)\.)?"
)


class _BlockReader:
    """Which layers the blocks of a state dict have."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._depths: dict[str, set[str]] = defaultdict(set)
        for name in shapes:
            if match := _LAYER.match(name):
                self._depths[match[1]].update(filter(None, [match[3]]))
        self._blocks = {layer.rpartition(".")[0] for layer in self._depths}

    def count(self, kind: str) -> int:
        return sum(block.startswith(f"{kind}.") for block in self._blocks)

    def block(self, name: str, channels: int) -> Block:
        """The layers of a block that so many channels enter."""
        layers: list[LayerSizes] = []
        while (prefix := f"{name}.{len(layers)}") in self._depths:
            layers.append(self._layer(prefix, channels))
            channels = layers[-1].out_channels
        if not layers:
            raise KeyError(f"{name}.0.in_layers.0.weight")
        return tuple(layers)

    def transformers(self) -> tuple[bool, int]:
        """Whether they are entered by a matrix, and the features of the text they attend to."""
        for prefix, depths in self._depths.items():
            if depths:
                linear = len(self._shapes[f"{prefix}.proj_in.weight"]) == 2
                return linear, self._shapes[f"{prefix}.transformer_blocks.0.attn2.to_k.weight"][1]
        raise ValueError("none of its blocks attends to a prompt")

    def _layer(self, prefix: str, channels: int) -> LayerSizes:
        endings: tuple[tuple[LayerKind, str], ...] = (
            ("residual", "in_layers.2.weight"),
            ("downsample", "op.weight"),
            ("upsample", "conv.weight"),
            ("convolution", "weight"),
        )
        for kind, ending in endings:
            if f"{prefix}.{ending}" in self._shapes:
                return LayerSizes(kind, channels, self._shapes[f"{prefix}.{ending}"][0])
        if self._depths[prefix]:
            return LayerSizes("transformer", channels, channels, len(self._depths[prefix]))
        raise KeyError(f"{prefix}.in_layers.2.weight")


def expected_shapes(config: UNetConfig) -> dict[str, Shape]:
    """The tensors of a UNet of these sizes: names in LDM's layout, and shapes."""
    return dict(_all_shapes(config))


def _all_shapes(config: UNetConfig) -> Iterator[tuple[str, Shape]]:
    embedders = {"time_embed": config.model_channels}
    if config.label_size:
        embedders["label_emb.0"] = config.label_size
    for name, size in embedders.items():
        yield from _linear(f"{name}.0", size, config.time_size)
        yield from _linear(f"{name}.2", config.time_size, config.time_size)
    for place, layer in _places(config):
        yield from _layer_shapes(config, place, layer)
    last = config.output_blocks[-1][-1].out_channels
    yield from _norm("out.0", last)
    yield from _convolution("out.2", last, config.out_channels)


def _places(config: UNetConfig) -> Iterator[tuple[str, LayerSizes]]:
    blocks = {f"input_blocks.{number}": block for number, block in enumerate(config.input_blocks)}
    blocks["middle_block"] = config.middle_block
    blocks |= {f"output_blocks.{number}": block for number, block in enumerate(config.output_blocks)}
    for name, block in blocks.items():
        yield from ((f"{name}.{number}", layer) for number, layer in enumerate(block))


def _layer_shapes(config: UNetConfig, name: str, layer: LayerSizes) -> Iterator[tuple[str, Shape]]:
    rows_in, rows_out = layer.in_channels, layer.out_channels
    if layer.kind == "convolution":
        yield from _convolution(name, rows_in, rows_out)
    elif layer.kind == "downsample":
        yield from _convolution(f"{name}.op", rows_in, rows_out)
    elif layer.kind == "upsample":
        yield from _convolution(f"{name}.conv", rows_in, rows_out)
    elif layer.kind == "residual":
        yield from _norm(f"{name}.in_layers.0", rows_in)
        yield from _convolution(f"{name}.in_layers.2", rows_in, rows_out)
        yield from _linear(f"{name}.emb_layers.1", config.time_size, rows_out)
        yield from _norm(f"{name}.out_layers.0", rows_out)
        yield from _convolution(f"{name}.out_layers.3", rows_out, rows_out)
        if rows_in != rows_out:
            yield from _convolution(f"{name}.skip_connection", rows_in, rows_out, side=1)
    else:
        yield from _transformer_shapes(config, name, layer)


def _transformer_shapes(config: UNetConfig, name: str, layer: LayerSizes) -> Iterator[tuple[str, Shape]]:
    channels = layer.in_channels
    yield from _norm(f"{name}.norm", channels)
    for projection in (f"{name}.proj_in", f"{name}.proj_out"):
        if config.linear_projection:
            yield from _linear(projection, channels, channels)
        else:
            yield from _convolution(projection, channels, channels, side=1)
    for number in range(layer.depth):
        block = f"{name}.transformer_blocks.{number}"
        for attention, context_size in (("attn1", channels), ("attn2", config.context_size)):
            yield f"{block}.{attention}.to_q.weight", (channels, channels)
            yield f"{block}.{attention}.to_k.weight", (channels, context_size)
            yield f"{block}.{attention}.to_v.weight", (channels, context_size)
            yield from _linear(f"{block}.{attention}.to_out.0", channels, channels)
        yield from _linear(f"{block}.ff.net.0.proj", channels, 8 * channels)
        yield from _linear(f"{block}.ff.net.2", 4 * channels, channels)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _norm(f"{block}.{norm}", channels)


def _linear(name: str, rows_in: int, rows_out: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (rows_out, rows_in)
    yield f"{name}.bias", (rows_out,)


def _convolution(name: str, rows_in: int, rows_out: int, side: int = 3) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (rows_out, rows_in, side, side)
    yield f"{name}.bias", (rows_out,)


def _norm(name: str, size: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)
