"""T5's tensors under llama.cpp's names, which text encoders in GGUF files have, in transformers' layout.

The names are those of gguf's `TENSOR_NAMES` for the architectures "t5" and "t5encoder". Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_BLOCK = re.compile(r"enc\.blk\.(\d+)\.(\w+)\.weight")
_TOP = {
    "token_embd.weight": "shared.weight",
    "enc.output_norm.weight": "encoder.final_layer_norm.weight",
}
_IN_BLOCK = {
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}
_MARK = "enc.blk.0.attn_q.weight"
_UNUSED = ("dec.", "output.")
"""The decoder, which whole models have, and what comes after it."""


def as_transformers(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of a whole model, all its pieces together, under transformers' names, without the decoder.

    What is no T5 as llama.cpp writes it stays as it is.
    """
    if _MARK not in tensors:
        return dict(tensors)
    return {known: tensor for name, tensor in tensors.items() if (known := transformers_name(name))}


def transformers_name(name: str) -> str | None:
    """What transformers calls a tensor of the encoder; None for those of the decoder."""
    if name.startswith(_UNUSED):
        return None
    match = _BLOCK.fullmatch(name)
    if match and match[2] in _IN_BLOCK:
        return f"encoder.block.{match[1]}.{_IN_BLOCK[match[2]]}.weight"
    return _TOP.get(name, name)


def llama_cpp_name(name: str) -> str | None:
    """What llama.cpp calls a tensor of the encoder; None for what has no place there."""
    match = re.fullmatch(r"encoder\.block\.(\d+)\.(.+)\.weight", name)
    if match:
        found = next((short for short, long in _IN_BLOCK.items() if long == match[2]), None)
        return f"enc.blk.{match[1]}.{found}.weight" if found else None
    return next((short for short, long in _TOP.items() if long == name), None)
