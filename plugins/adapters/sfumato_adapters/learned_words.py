"""The vectors of a learned word (textual inversion, https://arxiv.org/abs/2208.01618) as files hold them.

A1111 keeps them as ``string_to_param``, in safetensors as ``emb_params``; those for several encoders, as
SDXL has them, are named ``clip_l`` and ``clip_g``; diffusers names its one tensor as the word. LoRA files may
bring words along: ``bundle_emb.<word>.<any of these>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sfumato_adapters.layouts import BUNDLED_WORDS

_ENCODERS = {"clip_l": "clip_text", "clip_g": "clip_g_text"}
_PRETRAINED_WIDTHS = {768: "clip_text", 1024: "open_clip_text", 1280: "clip_g_text"}
_CLIPS = ("clip_text", "open_clip_text", "clip_g_text")
_ONE = ""
"""Stands for the encoder of a file that names none."""


def read_vectors(content: Any) -> dict[str, Tensor]:
    """The vectors [n, width] by kind of text encoder, under "" where the file does not name one.

    Args:
        content: What the file holds: tensors by name, perhaps nested.

    Raises:
        ValueError: it holds no learned word, or a damaged one; the message says what is wrong.
    """
    if not isinstance(content, Mapping):
        raise ValueError("it holds no tensors by name")
    nested = content.get("string_to_param")
    if isinstance(nested, nn.ParameterDict):
        nested = dict(nested.items())
    if isinstance(nested, Mapping):
        content = nested
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    named = {kind: tensors[name] for name, kind in _ENCODERS.items() if name in tensors}
    if named:
        return {kind: _checked(vectors, kind) for kind, vectors in named.items()}
    if "emb_params" in tensors:
        return {_ONE: _checked(tensors["emb_params"], "emb_params")}
    if len(tensors) != 1:
        raise ValueError(f"it holds {len(tensors)} tensors, and a learned word is one, or clip_l and clip_g")
    name, vectors = next(iter(tensors.items()))
    return {_ONE: _checked(vectors, name)}


def _checked(vectors: Tensor, name: str) -> Tensor:
    """As [n, width], float32."""
    rows = vectors[None] if vectors.ndim == 1 else vectors
    if rows.ndim != 2 or not rows.numel() or not rows.is_floating_point():
        kind = str(vectors.dtype).removeprefix("torch.")
        raise ValueError(f"'{name}' has the shape {list(vectors.shape)} of {kind}, and not [vectors, width]")
    rows = rows.detach().to("cpu", torch.float32, copy=True)  # a few kilobytes, so that the file is free
    if not rows.isfinite().all():
        raise ValueError(f"'{name}' holds numbers that are not finite (NaN)")
    return rows


def fitted(vectors: Mapping[str, Tensor], widths: Mapping[str, int]) -> dict[str, Tensor]:
    """The vectors by the model's kinds of text encoders; none where an encoder of CLIP's would go without.

    Encoders that read a word as several vectors beside one that reads it as text would count places apart.

    Args:
        widths: Of the model's text encoders, by kind.
    """
    found = dict(vectors)
    if _ONE in found:
        rows = found.pop(_ONE)
        fitting = [kind for kind, width in widths.items() if width == rows.shape[1]]
        default = _PRETRAINED_WIDTHS.get(rows.shape[1], next(iter(widths), "clip_text"))
        found[fitting[0] if fitting else default] = rows
    if any(kind not in found for kind in widths):
        return {}
    return {kind: rows for kind, rows in found.items() if kind in widths}


def bundled_words(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The learned words that a LoRA file brings along: their tensors by word."""
    words: dict[str, dict[str, Tensor]] = {}
    for key in tensors:
        if key.startswith(BUNDLED_WORDS):
            word, _, name = key.removeprefix(BUNDLED_WORDS).partition(".")
            words.setdefault(word, {})[name.removeprefix("string_to_param.")] = tensors[key]
    return words


def text_encoder_widths(networks: Mapping[str, nn.Module]) -> dict[str, int]:
    """The width of the tokens' vectors of each text encoder that reads learned words, by kind."""
    widths = {}
    for kind in _CLIPS:
        tables = (
            [m for m in networks[kind].modules() if isinstance(m, nn.Embedding)] if kind in networks else []
        )
        if tables:  # that of tokens is the largest: others are of positions
            widths[kind] = max(tables, key=lambda table: table.num_embeddings).embedding_dim
    return widths
