"""Attention gives the same by every kernel that it chooses among."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato_networks.attention import attention

ROUNDING = 0.02
"""Of bfloat16, at outputs of about a tenth of it summed from numbers near 1."""


def heads(tokens: int, heads: int, size: int, seed: int, dtype: torch.dtype) -> Tensor:
    """[2, heads, tokens, size], in memory as a network's projections leave it: tokens before heads."""
    x = torch.randn(2, tokens, heads * size, generator=torch.Generator().manual_seed(seed))
    return x.to(dtype).unflatten(-1, (heads, size)).transpose(1, 2)


def by_definition(q: Tensor, k: Tensor, v: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """In float64."""
    scores = q.double() @ k.double().transpose(-2, -1) * scale
    return (scores if bias is None else scores + bias).softmax(dim=-1) @ v.double()


SIZES = {
    "few scores": (40, 40),
    "many scores": (2500, 600),
    "few keys": (9000, 77),
    "one block a head": (1500, 400),
}


@pytest.mark.parametrize(("queries", "keys"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_every_size_is_attended_as_defined(queries: int, keys: int, dtype: torch.dtype) -> None:
    q, (k, v) = heads(queries, 3, 8, 0, dtype), (heads(keys, 3, 8, seed, dtype) for seed in (1, 2))
    found = attention(q, k, v)
    expected = by_definition(q, k, v, 8**-0.5)
    assert found.shape == expected.shape
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), expected, rtol=0, atol=ROUNDING if dtype == torch.bfloat16 else 1e-5
    )


def test_a_scale_and_values_of_another_width_are_kept_in_blocks() -> None:
    q, k = heads(700, 2, 8, 0, torch.bfloat16), heads(700, 2, 8, 1, torch.bfloat16)
    v = heads(700, 2, 16, 2, torch.bfloat16)
    expected = by_definition(q, k, v, 0.5)
    torch.testing.assert_close(attention(q, k, v, scale=0.5).double(), expected, rtol=0, atol=2 * ROUNDING)


def test_hidden_keys_are_hidden_however_many_there_are() -> None:
    q, k, v = (heads(700, 2, 8, seed, torch.bfloat16) for seed in range(3))
    bias = torch.zeros(700, 700, dtype=torch.bfloat16)
    bias[:, 350:] = -torch.inf
    found = attention(q, k, v, bias=bias).double()
    torch.testing.assert_close(found, by_definition(q, k, v, 8**-0.5, bias.double()), rtol=0, atol=ROUNDING)


def test_large_attention_can_be_learned_through() -> None:
    q, k, v = (heads(700, 2, 8, seed, torch.bfloat16).requires_grad_() for seed in range(3))
    attention(q, k, v).square().sum().backward()
    doubles = [each.detach().double().requires_grad_() for each in (q, k, v)]
    by_definition(*doubles, 8**-0.5).square().sum().backward()
    for each, exact in zip((q, k, v), doubles, strict=True):
        assert each.grad is not None
        assert exact.grad is not None
        assert (each.grad.double() - exact.grad).norm() < 0.05 * exact.grad.norm()
