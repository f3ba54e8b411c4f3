"""Diffusers' `SD3Transformer2DModel` tensors in the layout of the original checkpoints. Imports no torch.

Two things differ besides the names: diffusers keeps the projections q, k, v apart where the original has them
stacked in one matrix, and it has the two halves of the two last modulations the other way round (scale before
shift): that of the text in the last block, and that of the final layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sfumato_networks.made_tensors import Source
from sfumato_networks.shapes import count_blocks

BLOCKS = "transformer_blocks."

_TOP = {
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_BLOCK = {
    "x_block.adaLN_modulation.1": ("norm1.linear",),
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn.proj": ("attn.to_out.0",),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "x_block.attn2.proj": ("attn2.to_out.0",),
    "x_block.mlp.fc1": ("ff.net.0.proj",),
    "x_block.mlp.fc2": ("ff.net.2",),
    "context_block.adaLN_modulation.1": ("norm1_context.linear",),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "context_block.attn.proj": ("attn.to_add_out",),
    "context_block.mlp.fc1": ("ff_context.net.0.proj",),
    "context_block.mlp.fc2": ("ff_context.net.2",),
}
_NORMS = {
    "x_block.attn.ln_q": "attn.norm_q",
    "x_block.attn.ln_k": "attn.norm_k",
    "x_block.attn2.ln_q": "attn2.norm_q",
    "x_block.attn2.ln_k": "attn2.norm_k",
    "context_block.attn.ln_q": "attn.norm_added_q",
    "context_block.attn.ln_k": "attn.norm_added_k",
}


def is_diffusers_sd3(names: Collection[str]) -> bool:
    """Whether tensors of these names are an SD3 transformer as diffusers writes it.

    Flux has blocks of the same names, but no patches and no positions to add.
    """
    outer = ("pos_embed.proj.weight", "pos_embed.pos_embed", "context_embedder.weight")
    block = ("attn.add_q_proj.weight", "norm1_context.linear.weight", "attn.to_q.weight")
    return sum(name in names for name in outer) >= 2 and any(f"{BLOCKS}0.{name}" in names for name in block)


def layers(blocks: int) -> Iterator[tuple[str, Source]]:
    """Each layer of the original layout that a transformer of so many blocks may have, and what diffusers
    calls it or stacks in it, top to bottom."""
    for layer, name in _TOP.items():
        yield layer, Source((name,), halves_swapped=layer == "final_layer.adaLN_modulation.1")
    for number in range(blocks):
        for layer, names in _BLOCK.items():
            swapped = number == blocks - 1 and layer == "context_block.adaLN_modulation.1"
            found = tuple(f"{BLOCKS}{number}.{name}" for name in names)
            yield f"joint_blocks.{number}.{layer}", Source(found, halves_swapped=swapped)
        for layer, name in _NORMS.items():
            yield f"joint_blocks.{number}.{layer}", Source((f"{BLOCKS}{number}.{name}",))


def sources(names: Collection[str]) -> dict[str, Source]:
    """For each tensor of the original layout, what it is made of, as far as ``names`` has all of that.

    A tensor without all its sources is left out, so that it is reported missing under the original name.
    """
    found = set(names)
    wanted = {"pos_embed": Source(("pos_embed.pos_embed",))}
    for layer, source in layers(count_blocks(found, BLOCKS)):
        for kind in ("weight", "bias"):
            parts = tuple(f"{name}.{kind}" for name in source.names)
            wanted[f"{layer}.{kind}"] = Source(parts, source.halves_swapped)
    return {name: source for name, source in wanted.items() if found.issuperset(source.names)}
