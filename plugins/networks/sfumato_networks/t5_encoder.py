"""The encoder of T5 v1.1 (Raffel et al. 2020, arXiv:1910.10683), named as transformers' T5EncoderModel.

Version 1.1 has a gated GELU (Shazeer 2020, arXiv:2002.05202) in place of the ReLU. Layers have no biases,
norms no mean; attention is not divided by √d; positions enter as a learned bias on the scores, one per
distance and head, which the first block owns and all blocks use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_networks.attention import attention
from sfumato_networks.shapes import count_blocks

MAX_DISTANCE = 128


@dataclass(frozen=True)
class T5Config:
    """Sizes of a T5 encoder; the defaults are those of T5 v1.1 XXL."""

    vocab_size: int = 32128
    width: int = 4096
    ff_width: int = 10240
    layers: int = 24
    heads: int = 64
    head_size: int = 64
    buckets: int = 32

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> T5Config:
        """The sizes of tensors with these names and shapes; KeyError names a tensor that is not there."""
        vocab_size, width = shapes["shared.weight"]
        buckets, heads = shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        return cls(
            vocab_size=vocab_size,
            width=width,
            ff_width=shapes["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
            layers=count_blocks(shapes, "encoder.block."),
            heads=heads,
            head_size=shapes["encoder.block.0.layer.0.SelfAttention.q.weight"][0] // heads,
            buckets=buckets,
        )


def distance_buckets(n: int, buckets: int, device: torch.device | None = None) -> Tensor:
    """Which bucket the distance from query i to key j falls into, [n, n] in 0..buckets-1.

    Half of the buckets are for keys behind the query. Of each half one half holds single distances, the other
    distances up to `MAX_DISTANCE` at logarithmic width; whatever is farther shares the last one.
    """
    places = torch.arange(n, device=device)
    ahead = places[None, :] - places[:, None]
    half = buckets // 2
    exact = half // 2
    distance = ahead.abs()
    log_ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(MAX_DISTANCE / exact)
    coarse = (exact + (log_ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < exact, distance, coarse) + half * (ahead > 0)


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        # In float32 whatever the weights are in: squares of T5's states overflow half precision.
        return F.rms_norm(x.float(), x.shape[-1:], eps=1e-6).to(self.weight.dtype) * self.weight


class SelfAttention(nn.Module):
    def __init__(self, config: T5Config, *, owns_bias: bool) -> None:
        super().__init__()
        inner = config.heads * config.head_size
        self.head_size = config.head_size
        self.q = nn.Linear(config.width, inner, bias=False)
        self.k = nn.Linear(config.width, inner, bias=False)
        self.v = nn.Linear(config.width, inner, bias=False)
        self.o = nn.Linear(inner, config.width, bias=False)
        if owns_bias:
            self.relative_attention_bias = nn.Embedding(config.buckets, config.heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (self._heads(projection(x)) for projection in (self.q, self.k, self.v))
        return self.o(attention(q, k, v, bias=bias.to(v.dtype), scale=1.0).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_size)).transpose(1, 2)


class GatedGelu(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(config.width, config.ff_width, bias=False)
        self.wi_1 = nn.Linear(config.width, config.ff_width, bias=False)
        self.wo = nn.Linear(config.ff_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class AttentionLayer(nn.Module):
    def __init__(self, config: T5Config, *, owns_bias: bool) -> None:
        super().__init__()
        self.SelfAttention = SelfAttention(config, owns_bias=owns_bias)
        self.layer_norm = RMSNorm(config.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + self.SelfAttention(self.layer_norm(x), bias)


class FeedForwardLayer(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.DenseReluDense = GatedGelu(config)
        self.layer_norm = RMSNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.DenseReluDense(self.layer_norm(x))


class Block(nn.Module):
    def __init__(self, config: T5Config, *, owns_bias: bool) -> None:
        super().__init__()
        self.layer = nn.ModuleList((AttentionLayer(config, owns_bias=owns_bias), FeedForwardLayer(config)))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return self.layer[1](self.layer[0](x, bias))


class Encoder(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.buckets = config.buckets
        self.block = nn.ModuleList(Block(config, owns_bias=number == 0) for number in range(config.layers))
        self.final_layer_norm = RMSNorm(config.width)

    def forward(self, x: Tensor, hidden_keys: Tensor | None) -> Tensor:
        bias = self.distance_bias(x.shape[1], x.device)
        if hidden_keys is not None:
            bias = bias.masked_fill(hidden_keys[:, None, None, :], float("-inf"))
        for block in self.block:
            x = block(x, bias)
        return self.final_layer_norm(x)

    def distance_bias(self, n: int, device: torch.device) -> Tensor:
        """The learned bias on the scores by distance, [1, heads, n, n]."""
        owner: Any = self.block[0]
        table = owner.layer[0].SelfAttention.relative_attention_bias
        return table(distance_buckets(n, self.buckets, device)).permute(2, 0, 1)[None]


class T5Encoder(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.width)
        self.encoder = Encoder(config)

    def working_memory(self, tokens: int = 512) -> int:
        """Bytes that one prompt of so many tokens takes beyond the weights: one block, and its scores."""
        config, itemsize = self.config, self.encoder.final_layer_norm.weight.dtype.itemsize
        states = tokens * (6 * config.width + 3 * config.ff_width)
        return itemsize * (states + 3 * config.heads * tokens**2)

    def forward(self, token_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """States [b, n, width] of token ids [b, n].

        ``attention_mask`` [b, n] is true or 1 where a token counts; each row needs one such. Without it
        padding counts as text does, which is how Flux was trained.
        """
        hidden_keys = None if attention_mask is None else ~attention_mask.bool()
        return self.encoder(self.shared(token_ids), hidden_keys)
