"""Tensors of diffusers' Flux and Chroma transformers in the layout of the original checkpoints.

Imports no torch.

Three things differ besides the names: diffusers keeps the projections q, k, v (and in single blocks the MLP's
first layer) apart where the original has them stacked in one matrix, and it has the two halves of the last
modulation the other way round (scale before shift).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from sfumato_networks.made_tensors import Source

HALVES_SWAPPED = "norm_out.linear"
"""The layer whose two halves are the other way round than in the original."""

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
    "final_layer.adaLN_modulation.1": HALVES_SWAPPED,
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
_APPROXIMATOR = "distilled_guidance_layer"
_APPROXIMATOR_LAYERS = {"in_layer": "linear_1", "out_layer": "linear_2"}


def is_diffusers_layout(names: Collection[str]) -> bool:
    """Whether tensors of these names are a transformer of Flux's layout as diffusers writes it."""
    return "x_embedder.weight" in names


def is_diffusers_flux(names: Collection[str]) -> bool:
    """Whether tensors of these names are a Flux transformer as diffusers writes it.

    Relatives (Chroma, Flux.2, Bria, LongCat-Image ...) have its blocks, but no embedder of a pooled text.
    """
    outer = ("x_embedder.weight", "time_text_embed.text_embedder.linear_1.weight")
    blocks = "single_transformer_blocks.0."
    return all(name in names for name in outer) and any(name.startswith(blocks) for name in names)


def sources(names: Iterable[str]) -> dict[str, Source]:
    """For each tensor of the original layout, what it is made of, as far as ``names`` has all of that.

    A tensor without all its sources is left out, so that it is reported missing under the original name.
    """
    found = set(names)
    wanted = dict(_top_sources())
    for old, new, parts, norms in (
        ("transformer_blocks", "double_blocks", _DOUBLE, _DOUBLE_NORMS),
        ("single_transformer_blocks", "single_blocks", _SINGLE, _SINGLE_NORMS),
    ):
        for number in _block_numbers(found, old):
            wanted.update(_block_sources(f"{old}.{number}.", f"{new}.{number}.", parts, norms))
    for number in _block_numbers(found, f"{_APPROXIMATOR}.layers"):
        wanted.update(_approximator_sources(number))
    return {name: source for name, source in wanted.items() if found.issuperset(source.names)}


def layers(
    double_blocks: int, single_blocks: int, approximator_layers: int = 0
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each layer of the original layout, with diffusers' names of what is stacked in it, top to bottom."""
    for layer, name in _TOP.items():
        yield layer, (name,)
    for old, new, parts, count in (
        ("transformer_blocks", "double_blocks", _DOUBLE, double_blocks),
        ("single_transformer_blocks", "single_blocks", _SINGLE, single_blocks),
    ):
        for number in range(count):
            for layer, names in parts.items():
                yield f"{new}.{number}.{layer}", tuple(f"{old}.{number}.{name}" for name in names)
    for number in range(approximator_layers):
        for layer, name in _APPROXIMATOR_LAYERS.items():
            yield f"{_APPROXIMATOR}.layers.{number}.{layer}", (f"{_APPROXIMATOR}.layers.{number}.{name}",)


def _top_sources() -> Iterable[tuple[str, Source]]:
    for new, old in _TOP.items():
        for kind in ("weight", "bias"):
            yield f"{new}.{kind}", Source((f"{old}.{kind}",), halves_swapped=old == HALVES_SWAPPED)


def _block_sources(
    old: str, new: str, layer_parts: Mapping[str, tuple[str, ...]], norms: Mapping[str, str]
) -> Iterable[tuple[str, Source]]:
    for name, parts in layer_parts.items():
        for kind in ("weight", "bias"):
            yield f"{new}{name}.{kind}", Source(tuple(f"{old}{part}.{kind}" for part in parts))
    for name, part in norms.items():
        yield f"{new}{name}.scale", Source((f"{old}{part}.weight",))


def _approximator_sources(number: str) -> Iterable[tuple[str, Source]]:
    """Of Chroma's approximator, whose other names are the same."""
    for new, old in _APPROXIMATOR_LAYERS.items():
        for kind in ("weight", "bias"):
            place = f"{_APPROXIMATOR}.layers.{number}"
            yield f"{place}.{new}.{kind}", Source((f"{place}.{old}.{kind}",))
    yield f"{_APPROXIMATOR}.norms.{number}.scale", Source((f"{_APPROXIMATOR}.norms.{number}.weight",))


def _block_numbers(names: Iterable[str], prefix: str) -> set[str]:
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return {match[1] for name in names if (match := pattern.match(name))}
