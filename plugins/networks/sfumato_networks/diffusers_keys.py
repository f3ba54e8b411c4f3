"""Diffusers' `AutoencoderKL` tensors in the original layout (LDM's), which our network has. Imports no torch.

Names differ, the decoder's levels are counted from the other end, and attention has matrices in place of 1x1
convolutions, under one set of names before diffusers 0.14 and another since. Some files have the matrices
under the original names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from sfumato_networks.shapes import count_blocks

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

_ATTENTION = {"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"} | {
    "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out", "group_norm": "norm",
}  # fmt: skip
_RENAMES = (
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"up_blocks\.(\d+)\.resnets\.", r"up.\1.block."),
    (r"up_blocks\.(\d+)\.upsamplers\.0\.", r"up.\1.upsample."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
)


def original_names(names: Collection[str]) -> dict[str, str]:
    """The original name of each diffusers name; original names stay, and such as are of no autoencoder."""
    levels = count_blocks(names, "decoder.up_blocks.")
    return {name: _original_name(name, levels) if levels else name for name in names}


def original_shapes(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Shapes under the original names; for detection from a header."""
    return {
        new: (*shapes[old], 1, 1) if _is_matrix_of_attention(new, shapes[old]) else shapes[old]
        for old, new in original_names(shapes).items()
    }


def original_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The very same tensors under the original names, attention's matrices viewed as convolutions."""
    renamed = {new: tensors[old] for old, new in original_names(tensors).items()}
    return {
        name: tensor[..., None, None] if _is_matrix_of_attention(name, tuple(tensor.shape)) else tensor
        for name, tensor in renamed.items()
    }


def _original_name(name: str, levels: int) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    name = re.sub(r"^decoder\.up\.(\d+)", lambda match: f"decoder.up.{levels - 1 - int(match[1])}", name)
    if match := re.fullmatch(r"(.*\.attn_1\.)(.+)\.(weight|bias)", name):
        return f"{match[1]}{_ATTENTION.get(match[2], match[2])}.{match[3]}"
    return name


def _is_matrix_of_attention(name: str, shape: Shape) -> bool:
    return ".attn_1." in name and len(shape) == 2
