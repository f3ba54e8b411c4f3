"""Blocks against gguf's own; the error of those that it cannot make, against exhaustive search."""

from __future__ import annotations

from functools import cache

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from sfumato.errors import BadInput, UnknownName
from sfumato_quant_gguf.quantisers.fitting import WholeTable, fit_affine, fit_symmetric
from sfumato_quant_gguf.quantisers.quantise import TILE, quantise
from sfumato_quant_gguf.writing.verifying import USUAL_ERROR
from sfumato_quant_gguf.written_types import WRITABLE, tensor_type, writable_type

LIKE_GGUF = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "TQ1_0", "TQ2_0", "MXFP4")
SEARCHED = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
LEVELS = {"Q2_K": (16, 3), "Q4_K": (32, 15), "Q5_K": (32, 31)}
"""Numbers of a group, and its highest level."""


@cache
def weights(kind: str) -> Tensor:
    """[64, 1024] as weights are, and as they should not be."""
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(64, 1024, generator=generator)
    made = {
        "normal": lambda: 0.03 * normal,
        "heavy-tailed": lambda: 0.03 * normal**3,
        "all positive": lambda: normal.abs() + 0.5,
        "zero but for one": lambda: torch.zeros(64, 1024).index_fill_(1, torch.tensor([7]), -2.0),
        "all zero": lambda: torch.zeros(64, 1024),
        "constant": lambda: torch.full((64, 1024), 0.3),
        "growing": lambda: normal * torch.logspace(-3, 2, 64)[:, None],
        "halfway between levels": lambda: (normal * 8).round() / 2,
    }
    return made[kind]()


KINDS = (
    "normal",
    "heavy-tailed",
    "all positive",
    "zero but for one",
    "all zero",
    "constant",
    "growing",
    "halfway between levels",
)


def by_gguf(packed: Tensor, type_name: str) -> Tensor:
    blocks = packed.numpy().reshape(-1, tensor_type(type_name).block_bytes)
    return torch.from_numpy(np.array(gguf.quants.dequantize(blocks, GGMLQuantizationType[type_name])))


def relative_error(values: Tensor, type_name: str) -> float:
    read = by_gguf(quantise(values, type_name), type_name).float().reshape(values.shape)
    return float((read - values).norm() / values.norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_name", LIKE_GGUF)
def test_blocks_are_those_of_gguf_bit_for_bit(type_name: str, kind: str) -> None:
    values = weights(kind)
    with np.errstate(divide="ignore"):
        expected = gguf.quants.quantize(values.numpy(), GGMLQuantizationType[type_name])
    assert torch.equal(
        quantise(values, type_name), torch.from_numpy(expected).contiguous().view(torch.uint8).flatten()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_name", SEARCHED)
def test_searched_blocks_are_valid_and_lose_no_more_than_all(type_name: str, kind: str) -> None:
    values = weights(kind)
    packed = quantise(values, type_name)
    assert packed.numel() == tensor_type(type_name).size_bytes(values.numel())
    read = by_gguf(packed, type_name).reshape(values.shape)
    assert torch.isfinite(read).all()
    assert (read - values).norm() <= 0.45 * values.norm()


@pytest.mark.parametrize("type_name", sorted(USUAL_ERROR))
def test_normally_distributed_weights_lose_less_than_what_is_told_as_usual(type_name: str) -> None:
    assert relative_error(weights("normal"), type_name) <= USUAL_ERROR[type_name]


def test_more_bits_lose_less() -> None:
    ladder = ("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "TQ2_0")
    errors = [relative_error(weights("normal"), type_name) for type_name in ladder]
    assert errors == sorted(errors)


@pytest.mark.parametrize(("searched", "plain"), [("Q4_K", "Q4_1"), ("Q5_K", "Q5_1"), ("IQ4_NL", "Q4_0")])
def test_searched_scales_lose_less_than_those_of_the_largest_number(searched: str, plain: str) -> None:
    for kind in ("normal", "heavy-tailed"):
        assert relative_error(weights(kind), searched) < 0.95 * relative_error(weights(kind), plain)


def exhaustive(values: Tensor, levels: int) -> Tensor:
    """The least squared error [n] of ``scale * whole - offset`` over a fine grid of both, offset >= 0."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    least = torch.full((len(values),), torch.inf)
    for share in torch.linspace(0.6, 1.05, 46):
        for shift in torch.linspace(-0.25, 0.25, 51):
            middle = (low + high) / 2 + shift * (high - low)
            scale = share * (high - low) / levels
            offset = (scale * levels / 2 - middle).clamp(min=0)
            whole = ((values + offset) / scale).round().clamp(0, levels)
            least = torch.minimum(least, (whole * scale - offset - values).square().sum(1))
    return least


@pytest.mark.parametrize("type_name", LEVELS)
def test_groups_with_an_offset_come_within_three_percent_of_exhaustive_search(type_name: str) -> None:
    size, levels = LEVELS[type_name]
    values = weights("normal").reshape(-1, size)[:512]
    scale, offset = fit_affine(values, levels)
    whole = ((values + offset[:, None]) / scale[:, None]).round().clamp(0, levels)
    error = (whole * scale[:, None] - offset[:, None] - values).square().sum(1)
    assert (scale > 0).all()
    assert (offset >= 0).all()
    assert error.sum().sqrt() <= 1.03 * exhaustive(values, levels).sum().sqrt()


@pytest.mark.parametrize(("levels", "bound"), [(4, 1.02), (32, 1.08)])
def test_groups_about_zero_come_close_to_exhaustive_search(levels: int, bound: float) -> None:
    """With 32 levels a search finds scales that many numbers happen to be multiples of."""
    values = weights("normal").reshape(-1, 16)[:512]
    largest = values.abs().amax(1, keepdim=True)
    least = torch.full((512,), torch.inf)
    for share in torch.linspace(-1.4, 1.4, 1120):
        scale = share * largest / levels
        whole = (values / scale).round().clamp(-levels, levels - 1)
        least = torch.minimum(least, (whole * scale - values).square().sum(1))
    scale = fit_symmetric(values, levels)[:, None]
    whole = (values / scale).round().clamp(-levels, levels - 1)
    error = (whole * scale - values).square().sum(1)
    assert error.sum().sqrt() <= bound * least.sum().sqrt()


@pytest.mark.parametrize("type_name", LEVELS)
def test_small_scales_of_a_block_cost_little_beside_exhaustive_search(type_name: str) -> None:
    size, levels = LEVELS[type_name]
    values = weights("normal")[:8]
    best = exhaustive(values.reshape(-1, size), levels).sum().sqrt()
    bound = 1.12 if type_name == "Q2_K" else 1.03  # its scales have four bits, theirs six
    assert relative_error(values, type_name) * values.norm() <= bound * best


def test_a_whole_table_finds_the_nearest_entry() -> None:
    entries = (-127, -104, -10, 1, 13, 113)
    table = WholeTable(entries, torch.device("cpu"))
    values = torch.linspace(-200, 200, 4001).reshape(1, -1) + 0.01  # off the places halfway between
    nearest = (values[..., None] - torch.tensor(entries)).abs().argmin(-1)
    assert torch.equal(table.places(values, torch.ones(1)), nearest.to(torch.uint8))
    assert torch.equal(table.entries(values, torch.ones(1)), torch.tensor(entries).float()[nearest])


@pytest.mark.parametrize("type_name", ["Q4_K", "Q8_0"])
def test_tiles_leave_no_seams(type_name: str) -> None:
    values = torch.randn(2 * TILE + 512, generator=torch.Generator().manual_seed(1))
    packed = quantise(values, type_name)
    for start, end in ((0, 512), (TILE - 256, TILE + 256), (2 * TILE, 2 * TILE + 512)):
        kind = tensor_type(type_name)
        piece = packed[kind.size_bytes(start) : kind.size_bytes(end)]
        assert torch.equal(piece, quantise(values[start:end], type_name))


def test_half_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole blocks of 256"):
        quantise(torch.zeros(300), "Q4_K")


def test_every_type_that_is_written_is_one_of_the_formats() -> None:
    assert {GGMLQuantizationType[name].name for name in WRITABLE} == set(WRITABLE)


@pytest.mark.parametrize("name", ["iq3_xxs", "IQ1_S", "iq2_xs"])
def test_types_that_need_an_importance_matrix_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadInput, match="importance matrix"):
        writable_type(name)


def test_an_unknown_type_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="q4_k"):
        writable_type("q4k")
