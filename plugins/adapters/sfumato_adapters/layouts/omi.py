"""The names of the Open Model Initiative, from OneTrainer: ``transformer.double_blocks.0.img_attn.qkv.1``.

Layers are those of the original checkpoint, but what is fused there is numbered piece by piece.
"""

from __future__ import annotations

import re

from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling, split_suffix

NAME = "omi"
_TEXT = {"clip_l.": Section.TEXT_1, "clip_g.": Section.TEXT_2, "t5.": Section.TEXT_3}
_TRANSFORMER = "transformer."
_PIECE = re.compile(r"^(?P<blocks>\w+)\.(?P<number>\d+)\.(?P<layer>[\w.]+)\.(?P<piece>[0-3])$")
_IMAGE = ("attn.to_q", "attn.to_k", "attn.to_v")
_TEXT_STREAM = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_PIECES = {
    ("double_blocks", "img_attn.qkv"): ("transformer_blocks", _IMAGE),
    ("double_blocks", "txt_attn.qkv"): ("transformer_blocks", _TEXT_STREAM),
    ("single_blocks", "linear1"): ("single_transformer_blocks", (*_IMAGE, "proj_mlp")),
    ("joint_blocks", "x_block.attn.qkv"): ("transformer_blocks", _IMAGE),
    ("joint_blocks", "context_block.attn.qkv"): ("transformer_blocks", _TEXT_STREAM),
}
"""What diffusers calls the pieces of fused layers, by blocks and layer."""


def read(key: str) -> Spelling | None:
    """None for names of other layouts; those of single layers are as others write them."""
    split = split_suffix(key)
    if split is None:
        return None
    stem, slot = split
    for prefix, section in _TEXT.items():
        if stem.startswith(prefix):
            return Spelling(stem, LayerName(NAME, section, stem.removeprefix(prefix)), slot)
    piece = _piece(stem.removeprefix(_TRANSFORMER)) if stem.startswith(_TRANSFORMER) else None
    return Spelling(stem, LayerName(NAME, Section.DIFFUSION, piece), slot) if piece else None


def _piece(layer: str) -> str | None:
    """Diffusers' name for a piece of a fused layer."""
    if layer == "img_in.proj":
        return "img_in"
    match = _PIECE.match(layer)
    blocks, names = _PIECES.get((match["blocks"], match["layer"]), ("", ())) if match else ("", ())
    if match is None or int(match["piece"]) >= len(names):
        return None
    return f"{blocks}.{match['number']}.{names[int(match['piece'])]}"
