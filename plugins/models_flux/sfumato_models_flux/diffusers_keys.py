"""Diffusers' `FluxTransformer2DModel` tensors in the layout of the original checkpoints. Imports no torch.

Three things differ besides the names: diffusers keeps the projections q, k, v (and in single blocks the MLP's
first layer) apart where the original has them stacked in one matrix, and it has the two halves of the last
modulation the other way round (scale before shift).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """Which diffusers tensors, stacked along their rows, make up one tensor of the original layout."""

    names: tuple[str, ...]
    halves_swapped: bool = False


_TOP = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_DOUBLE = {
    "img_mod.lin": ("norm1.linear",),
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn.proj": ("attn.to_out.0",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mod.lin": ("norm1_context.linear",),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn.proj": ("attn.to_add_out",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
}
_DOUBLE_NORMS = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
}
_SINGLE = {
    "modulation.lin": ("norm.linear",),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
}
_SINGLE_NORMS = {"norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k"}


def is_diffusers_flux(names: Iterable[str]) -> bool:
    """Whether tensors of these names are a Flux transformer as diffusers writes it."""
    found = set(names)
    return "x_embedder.weight" in found and any(n.startswith("single_transformer_blocks.0.") for n in found)


def sources(names: Iterable[str]) -> dict[str, Source]:
    """For each tensor of the original layout, what it is made of, as far as ``names`` has all of that.

    A tensor without all its sources is left out, so that it is reported missing under the original name.
    """
    found = set(names)
    wanted = dict(_top_sources())
    for old, new, layers, norms in (
        ("transformer_blocks", "double_blocks", _DOUBLE, _DOUBLE_NORMS),
        ("single_transformer_blocks", "single_blocks", _SINGLE, _SINGLE_NORMS),
    ):
        for number in _block_numbers(found, old):
            wanted.update(_block_sources(f"{old}.{number}.", f"{new}.{number}.", layers, norms))
    return {name: source for name, source in wanted.items() if found.issuperset(source.names)}


def original_shapes(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Shapes under the original names, from those under diffusers' names; for detection from a header."""
    return {
        name: (sum(shapes[part][0] for part in source.names), *shapes[source.names[0]][1:])
        for name, source in sources(shapes).items()
    }


def original_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under their original names. Stacked ones are copies, all others the tensors given."""
    return {name: _build(source, tensors) for name, source in sources(tensors).items()}


def _build(source: Source, tensors: Mapping[str, Tensor]) -> Tensor:
    import torch

    parts = [tensors[name] for name in source.names]
    if source.halves_swapped:
        parts = list(reversed(parts[0].chunk(2)))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _top_sources() -> Iterable[tuple[str, Source]]:
    for new, old in _TOP.items():
        for kind in ("weight", "bias"):
            yield f"{new}.{kind}", Source((f"{old}.{kind}",), halves_swapped=old == "norm_out.linear")


def _block_sources(
    old: str, new: str, layers: Mapping[str, tuple[str, ...]], norms: Mapping[str, str]
) -> Iterable[tuple[str, Source]]:
    for name, parts in layers.items():
        for kind in ("weight", "bias"):
            yield f"{new}{name}.{kind}", Source(tuple(f"{old}{part}.{kind}" for part in parts))
    for name, part in norms.items():
        yield f"{new}{name}.scale", Source((f"{old}{part}.weight",))


def _block_numbers(names: Iterable[str], prefix: str) -> set[str]:
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return {match[1] for name in names if (match := pattern.match(name))}
