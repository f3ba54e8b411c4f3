"""The sizes of an SD3 transformer and what tensors such a one has. Imports no torch: detection uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isqrt

from sfumato_networks.made_tensors import Shape
from sfumato_networks.shapes import count_blocks

TIME_FEATURES = 256
"""Sinusoids of a time."""
HEAD_SIZE = 64
"""Features of a head in all published models; without query and key norms it leaves no trace."""


@dataclass(frozen=True)
class Sd3Config:
    """Sizes of an SD3 transformer; the defaults are those of SD3 Medium.

    ``positions`` is the side of the square table of positions, in patches; ``qk_norm`` says whether queries
    and keys are normed (3.5); ``dual_blocks`` are the blocks whose image stream attends to itself once more
    (3.5 Medium).
    """

    in_channels: int = 16
    out_channels: int = 16
    patch: int = 2
    hidden_size: int = 1536
    head_size: int = HEAD_SIZE
    blocks: int = 24
    context_size: int = 4096
    vector_size: int = 2048
    mlp_size: int = 6144
    positions: int = 192
    qk_norm: bool = False
    dual_blocks: tuple[int, ...] = ()

    @property
    def heads(self) -> int:
        return self.hidden_size // self.head_size

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Shape], *, head_size: int | None = None) -> Sd3Config:
        """The sizes that tensors with these names and shapes have; KeyError names one that is not there.

        The size of a head is taken from its norms, then ``head_size``, then that of all published models.
        Raises ValueError where sizes cannot be.
        """
        hidden_size, in_channels, patch, _ = shapes["x_embedder.proj.weight"]
        norm = shapes.get("joint_blocks.0.x_block.attn.ln_q.weight")
        (head_size,) = norm or (HEAD_SIZE if head_size is None else head_size,)
        if head_size < 1 or hidden_size < 1 or hidden_size % head_size:
            raise ValueError(f"hidden size {hidden_size} is no multiple of the head size {head_size}")
        places = shapes["pos_embed"][1]
        if isqrt(places) ** 2 != places:
            raise ValueError(f"its table of {places} positions is no square")
        blocks = count_blocks(shapes, "joint_blocks.")
        return cls(
            in_channels=in_channels,
            out_channels=shapes["final_layer.linear.weight"][0] // patch**2,
            patch=patch,
            hidden_size=hidden_size,
            head_size=head_size,
            blocks=blocks,
            context_size=shapes["context_embedder.weight"][1],
            vector_size=shapes["y_embedder.mlp.0.weight"][1],
            mlp_size=shapes["joint_blocks.0.x_block.mlp.fc1.weight"][0],
            positions=isqrt(places),
            qk_norm=norm is not None,
            dual_blocks=tuple(
                n for n in range(blocks) if f"joint_blocks.{n}.x_block.attn2.qkv.weight" in shapes
            ),
        )


def expected_shapes(config: Sd3Config) -> dict[str, Shape]:
    """The tensors of a transformer of these sizes: names in the original layout, and shapes."""
    shapes = dict(_outer_shapes(config))
    for number in range(config.blocks):
        block, last = f"joint_blocks.{number}.", number == config.blocks - 1
        shapes.update(_stream_shapes(config, f"{block}context_block.", closed=last))
        shapes.update(_stream_shapes(config, f"{block}x_block.", dual=number in config.dual_blocks))
    return shapes


def _outer_shapes(config: Sd3Config) -> Iterator[tuple[str, Shape]]:
    D, patch = config.hidden_size, config.patch
    yield "pos_embed", (1, config.positions**2, D)
    yield "x_embedder.proj.weight", (D, config.in_channels, patch, patch)
    yield "x_embedder.proj.bias", (D,)
    yield from _linear("context_embedder", config.context_size, D)
    for name, size in (("t_embedder", TIME_FEATURES), ("y_embedder", config.vector_size)):
        yield from _linear(f"{name}.mlp.0", size, D)
        yield from _linear(f"{name}.mlp.2", D, D)
    yield from _linear("final_layer.linear", D, patch**2 * config.out_channels)
    yield from _linear("final_layer.adaLN_modulation.1", D, 2 * D)


def _stream_shapes(
    config: Sd3Config, prefix: str, *, closed: bool = False, dual: bool = False
) -> Iterator[tuple[str, Shape]]:
    """Of one stream's half of a block; a closed one is only looked at."""
    D = config.hidden_size
    for attention in ("attn", "attn2") if dual else ("attn",):
        yield from _linear(f"{prefix}{attention}.qkv", D, 3 * D)
        if config.qk_norm:
            yield f"{prefix}{attention}.ln_q.weight", (config.head_size,)
            yield f"{prefix}{attention}.ln_k.weight", (config.head_size,)
        if not closed:
            yield from _linear(f"{prefix}{attention}.proj", D, D)
    if not closed:
        yield from _linear(f"{prefix}mlp.fc1", D, config.mlp_size)
        yield from _linear(f"{prefix}mlp.fc2", config.mlp_size, D)
    yield from _linear(f"{prefix}adaLN_modulation.1", D, modulations(closed=closed, dual=dual) * D)


def modulations(*, closed: bool = False, dual: bool = False) -> int:
    """How many vectors modulate a stream: shift, scale and gate of each of its branches."""
    if closed:
        return 2
    return 9 if dual else 6


def _linear(name: str, rows_in: int, rows_out: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (rows_out, rows_in)
    yield f"{name}.bias", (rows_out,)
