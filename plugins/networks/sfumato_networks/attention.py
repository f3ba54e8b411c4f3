"""Scaled dot-product attention, by whichever kernel is the quicker for the size at hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(q kᵀ · scale + bias) v  (Vaswani et al. 2017, eq. 1).

    ``q``, ``k``, ``v``: [b, heads, n, d]; ``bias`` broadcasts to [b, heads, n_q, n_k] and is added before the
    softmax (-inf hides a key); ``scale`` is 1/√d unless given. Returns [b, heads, n_q, d].
    """
    q, k = q.to(v.dtype), k.to(v.dtype)
    if _plain_is_quicker(k):
        scores = torch.matmul(q * (q.shape[-1] ** -0.5 if scale is None else scale), k.transpose(-2, -1))
        if bias is not None:
            scores = scores + bias
        return torch.matmul(scores.softmax(dim=-1).to(v.dtype), v)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)


def _plain_is_quicker(k: Tensor) -> bool:
    # On a CPU the fused kernel is slow in bfloat16: at 32 tokens 2x forward and 3-7x with its backward, level
    # at about 1,000 tokens, where the score matrix no longer fits the cache. In float32 it is never slower.
    return k.device.type == "cpu" and k.dtype == torch.bfloat16 and k.shape[-2] <= 512
