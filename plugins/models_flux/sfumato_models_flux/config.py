"""The sizes of a Flux transformer and what tensors such a one has. Imports no torch: detection uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sfumato_networks.made_tensors import Shape
from sfumato_networks.shapes import count_blocks

TIME_FEATURES = 256
"""Sinusoids of a time or guidance value."""

FILL = "fill"
PICTURE_CHANNELS = {320: FILL, 64: "control"}
"""What Flux.1 models see beside the latents, by its channels: a masked picture with its mask, or a sketch."""


@dataclass(frozen=True)
class FluxConfig:
    """Sizes of a Flux transformer; the defaults are those of Flux.1 dev.

    ``axes`` shares out a head's features among index, row and column. ``picture_channels``, of `in_channels`,
    are those of a picture that the model sees beside the latents (see `PICTURE_CHANNELS`).

    Raises ValueError when ``axes`` are not three positive even numbers that add up to a head's features.
    """

    in_channels: int = 64
    hidden_size: int = 3072
    heads: int = 24
    double_blocks: int = 19
    single_blocks: int = 38
    context_size: int = 4096
    vector_size: int = 768
    mlp_ratio: float = 4.0
    axes: tuple[int, ...] = (16, 56, 56)
    theta: int = 10_000
    guidance: bool = True
    picture_channels: int = 0

    def __post_init__(self) -> None:
        even = len(self.axes) == 3 and all(axis > 0 and axis % 2 == 0 for axis in self.axes)
        if not even or sum(self.axes) != self.head_size:
            raise ValueError(
                f"rotary axes must be three positive even numbers that add up to a head's {self.head_size} "
                f"features, not {list(self.axes)}"
            )

    @property
    def out_channels(self) -> int:
        return self.in_channels - self.picture_channels

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.heads

    @property
    def mlp_size(self) -> int:
        return round(self.hidden_size * self.mlp_ratio)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Shape], *, axes: tuple[int, ...] | None = None) -> FluxConfig:
        """The sizes that tensors with these names and shapes have: see `read_sizes`."""
        return cls(
            **read_sizes(shapes, axes),
            vector_size=shapes["vector_in.in_layer.weight"][1],
            guidance="guidance_in.in_layer.weight" in shapes,
        )


def read_sizes(shapes: Mapping[str, Shape], axes: tuple[int, ...] | None) -> dict[str, Any]:
    """The sizes that all models of Flux's layout have, as fields of `FluxConfig`.

    ``axes`` leaves no trace in the weights: unless given, the split of Flux.1 in proportion to the head size
    is assumed. KeyError names a tensor that is not there; ValueError is raised where sizes cannot be.
    """
    hidden_size, in_channels = shapes["img_in.weight"]
    if "double_blocks.0.img_mlp.0.weight" in shapes:
        (head_size,) = shapes["double_blocks.0.img_attn.norm.query_norm.scale"]
        mlp_size = shapes["double_blocks.0.img_mlp.0.weight"][0]
    else:
        (head_size,) = shapes["single_blocks.0.norm.query_norm.scale"]
        mlp_size = shapes["single_blocks.0.linear1.weight"][0] - 3 * hidden_size
    if head_size < 1 or hidden_size % head_size:
        raise ValueError(f"hidden size {hidden_size} is no multiple of the head size {head_size}")
    picture_channels = in_channels - shapes["final_layer.linear.weight"][0]
    if picture_channels and picture_channels not in PICTURE_CHANNELS:
        raise ValueError(f"it takes {in_channels} channels and makes {in_channels - picture_channels}")
    return {
        "in_channels": in_channels,
        "hidden_size": hidden_size,
        "heads": hidden_size // head_size,
        "double_blocks": count_blocks(shapes, "double_blocks."),
        "single_blocks": count_blocks(shapes, "single_blocks."),
        "context_size": shapes["txt_in.weight"][1],
        "mlp_ratio": mlp_size / hidden_size,
        "axes": axes or default_axes(head_size),
        "picture_channels": picture_channels,
    }


def default_axes(head_size: int) -> tuple[int, int, int]:
    """How a head is shared out among index, row, column: 1/8, 7/16, 7/16, as in Flux.1 (16, 56, 56)."""
    axes = (head_size // 8, 7 * head_size // 16, 7 * head_size // 16)
    if sum(axes) != head_size or any(axis % 2 for axis in axes):
        raise ValueError(
            f"a head of {head_size} features cannot be split 1/8 + 7/16 + 7/16 into even parts: give axes"
        )
    return axes


def expected_shapes(config: FluxConfig) -> dict[str, Shape]:
    """The tensors of a transformer of these sizes: names in the original layout, and shapes."""
    return dict(_outer_shapes(config)) | block_shapes(config)


def block_shapes(config: FluxConfig) -> dict[str, Shape]:
    """The tensors of all blocks."""
    shapes: dict[str, Shape] = {}
    for number in range(config.double_blocks):
        shapes.update(_double_block_shapes(config, f"double_blocks.{number}."))
    for number in range(config.single_blocks):
        shapes.update(_single_block_shapes(config, f"single_blocks.{number}."))
    return shapes


def _outer_shapes(config: FluxConfig) -> Iterator[tuple[str, Shape]]:
    D = config.hidden_size
    yield from linear("img_in", config.in_channels, D)
    yield from linear("txt_in", config.context_size, D)
    embedders = {"time_in": TIME_FEATURES, "vector_in": config.vector_size}
    if config.guidance:
        embedders["guidance_in"] = TIME_FEATURES
    for name, size in embedders.items():
        yield from linear(f"{name}.in_layer", size, D)
        yield from linear(f"{name}.out_layer", D, D)
    yield from linear("final_layer.linear", D, config.out_channels)
    yield from linear("final_layer.adaLN_modulation.1", D, 2 * D)


def _double_block_shapes(config: FluxConfig, prefix: str) -> Iterator[tuple[str, Shape]]:
    D, mlp = config.hidden_size, config.mlp_size
    for stream in ("img", "txt"):
        yield from linear(f"{prefix}{stream}_mod.lin", D, 6 * D)
        yield from linear(f"{prefix}{stream}_attn.qkv", D, 3 * D)
        yield from _norms(f"{prefix}{stream}_attn.norm", config.head_size)
        yield from linear(f"{prefix}{stream}_attn.proj", D, D)
        yield from linear(f"{prefix}{stream}_mlp.0", D, mlp)
        yield from linear(f"{prefix}{stream}_mlp.2", mlp, D)


def _single_block_shapes(config: FluxConfig, prefix: str) -> Iterator[tuple[str, Shape]]:
    D, mlp = config.hidden_size, config.mlp_size
    yield from linear(f"{prefix}modulation.lin", D, 3 * D)
    yield from linear(f"{prefix}linear1", D, 3 * D + mlp)
    yield from _norms(f"{prefix}norm", config.head_size)
    yield from linear(f"{prefix}linear2", D + mlp, D)


def linear(name: str, rows_in: int, rows_out: int) -> Iterator[tuple[str, Shape]]:
    """The weight and bias of a layer."""
    yield f"{name}.weight", (rows_out, rows_in)
    yield f"{name}.bias", (rows_out,)


def _norms(name: str, size: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.query_norm.scale", (size,)
    yield f"{name}.key_norm.scale", (size,)
