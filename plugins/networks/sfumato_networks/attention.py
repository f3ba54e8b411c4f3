"""Scaled dot-product attention, by whichever kernel is the quicker for the size at hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_CACHED_SCORES = 1 << 20
"""Scores that stay in a core's caches from the product that makes them to the one that uses them."""


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(q kᵀ · scale + bias) v  (Vaswani et al. 2017, eq. 1).

    ``q``, ``k``, ``v``: [b, heads, n, d]; ``bias`` broadcasts to [b, heads, n_q, n_k] and is added before the
    softmax (-inf hides a key); ``scale`` is 1/√d unless given. Returns [b, heads, n_q, d].
    """
    q, k = q.to(v.dtype), k.to(v.dtype)
    if _fused_is_slow(k):
        if bias is None and _blocks_are_quicker(q, k, v):
            return _in_blocks(_scaled(q, scale), k, v)
        if k.shape[2] <= 512:
            return _plain(_scaled(q, scale), k, v, bias)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)


def _fused_is_slow(k: Tensor) -> bool:
    # On a CPU the fused kernel is slow in bfloat16: at 32 tokens 2x forward and 3-7x with its backward, level
    # with the plain one at about 1,000 tokens, whose scores no longer fit the cache. In float32 it never is.
    return k.device.type == "cpu" and k.dtype == torch.bfloat16


def _blocks_are_quicker(q: Tensor, k: Tensor, v: Tensor) -> bool:
    # Many scores, and no backward pass: 0.55 to 0.75 of the fused time at 1,024 and 4,096 tokens. With the 77
    # keys of a prompt all scores at once are quicker yet.
    scores = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    learns = torch.is_grad_enabled() and any(each.requires_grad for each in (q, k, v))
    return k.shape[2] > 128 and scores > _CACHED_SCORES and not learns


def _scaled(q: Tensor, scale: float | None) -> Tensor:
    return q * (q.shape[-1] ** -0.5 if scale is None else scale)


def _plain(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    scores = torch.matmul(q, k.transpose(-2, -1))
    if bias is not None:
        scores = scores + bias
    return torch.matmul(scores.softmax(dim=-1).to(v.dtype), v)


def _in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Head by head, and so many queries at a time that their scores stay cached."""
    b, heads, n = q.shape[:3]
    rows = max(1, _CACHED_SCORES // k.shape[2])
    # Tokens before heads in memory: joining the heads afterwards copies nothing.
    out = torch.empty(b, n, heads, v.shape[-1], dtype=v.dtype, device=v.device).transpose(1, 2)
    for picture in range(b):
        for head in range(heads):
            keys, values = k[picture, head].T, v[picture, head]
            for start in range(0, n, rows):
                block = slice(start, start + rows)
                scores = torch.mm(q[picture, head, block], keys)
                out[picture, head, block] = torch.mm(scores.softmax(dim=-1), values)
    return out
