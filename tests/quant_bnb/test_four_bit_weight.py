"""NF4 and FP4 weights against bitsandbytes, bit for bit, and what operators make of them."""

from __future__ import annotations

import bitsandbytes.functional as oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_bnb.four_bit import Fp4, Nf4
from sfumato_quant_bnb.four_bit_weight import Blocks, FourBitWeight
from sfumato_quant_bnb.quant_state import FourBitKind

from .packed_files import by_hand

KINDS: tuple[FourBitKind, ...] = ("nf4", "fp4")
NESTED = (False, True)
ODD_SHAPES = ((5, 96), (7, 33), (3, 1), (1, 64), (130, 50), (8, 6, 3, 3))


def packed(
    plain: Tensor, kind: FourBitKind, *, nested: bool = False, block_size: int = 64
) -> tuple[FourBitWeight, Tensor]:
    """What bitsandbytes packs, as our weight, and its numbers worked out by hand."""
    numbers, state = oracle.quantize_4bit(
        plain, quant_type=kind, compress_statistics=nested, blocksize=block_size
    )
    scales = [state.absmax]
    if nested:
        scales += [state.state2.absmax, state.state2.code, state.offset]
    blocks = Blocks(kind, block_size, 256 if nested else 0)
    return FourBitWeight(numbers.flatten(), scales, blocks, plain.shape), by_hand(numbers, state, plain.shape)


@pytest.fixture
def plain() -> Tensor:
    return torch.randn(300, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_numbers_are_those_of_bitsandbytes(
    plain: Tensor, kind: FourBitKind, nested: bool, dtype: torch.dtype
) -> None:
    weight, _ = packed(plain, kind, nested=nested)
    numbers, state = oracle.quantize_4bit(plain, quant_type=kind, compress_statistics=nested)
    expected = oracle.dequantize_4bit(numbers, state).to(dtype)
    assert torch.equal(weight.dequantised(dtype), expected)


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_rows_need_not_be_whole_blocks(shape: tuple[int, ...], kind: FourBitKind, nested: bool) -> None:
    weight, expected = packed(torch.randn(shape), kind, nested=nested)
    assert torch.equal(weight.dequantised(torch.float32), expected)


@pytest.mark.parametrize("block_size", [32, 128, 4096])
def test_blocks_may_have_other_sizes(plain: Tensor, block_size: int) -> None:
    weight, expected = packed(plain, "nf4", block_size=block_size)
    assert torch.equal(weight.dequantised(torch.float32), expected)


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize(("first", "last"), [(0, 300), (0, 1), (7, 250), (128, 300), (299, 300), (5, 5)])
@pytest.mark.parametrize("columns", [128, 96, 33])
def test_rows_are_taken_in_their_blocks(first: int, last: int, nested: bool, columns: int) -> None:
    weight, expected = packed(torch.randn(300, columns), "nf4", nested=nested)
    rows = weight.rows(first, last)
    assert rows.shape == (last - first, columns)
    assert torch.equal(rows.dequantised(torch.float32), expected[first:last])
    again = rows.rows(0, (last - first) // 2)
    assert torch.equal(again.dequantised(torch.float32), expected[first : first + (last - first) // 2])


@pytest.mark.parametrize("nested", NESTED)
def test_rows_share_the_memory_of_the_whole(plain: Tensor, nested: bool) -> None:
    weight, _ = packed(plain, "nf4", nested=nested)
    rows = weight.rows(128, 256)
    assert isinstance(rows, FourBitWeight)
    assert rows.packed.untyped_storage().data_ptr() == weight.packed.untyped_storage().data_ptr()
    assert rows.packed.nbytes == 128 * 128 // 2


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("columns", [128, 50])
def test_an_embedding_gives_the_rows_asked_for(columns: int, nested: bool) -> None:
    weight, expected = packed(torch.randn(300, columns), "nf4", nested=nested)
    ids = torch.randint(0, 300, (2, 5))
    assert torch.equal(F.embedding(ids, WeightTensor(weight, torch.float32)), expected[ids])


@pytest.mark.parametrize("tokens", [1, 7, 300])
def test_a_linear_layer_multiplies_by_them(plain: Tensor, tokens: int) -> None:
    weight, expected = packed(plain, "nf4")
    x, bias = torch.randn(2, tokens, 128), torch.randn(300)
    found = F.linear(x, WeightTensor(weight, torch.float32), bias)
    torch.testing.assert_close(found, F.linear(x, expected, bias), rtol=1e-5, atol=1e-4)


def test_a_convolution_takes_them_as_well() -> None:
    weight, expected = packed(torch.randn(8, 6, 3, 3), "fp4")
    x = torch.randn(1, 6, 9, 9)
    found = F.conv2d(x, WeightTensor(weight, torch.float32), padding=1)
    torch.testing.assert_close(found, F.conv2d(x, expected, padding=1))


def test_a_low_rank_branch_on_top_is_trained_while_they_stay(plain: Tensor) -> None:
    weight, expected = packed(plain, "nf4")
    down, up = nn.Parameter(torch.randn(4, 128)), nn.Parameter(torch.randn(300, 4))
    x, target = torch.randn(6, 128, requires_grad=True), torch.randn(6, 300)

    def gradients(base: Tensor) -> tuple[Tensor, ...]:
        loss = (F.linear(x, base) + x @ down.T @ up.T - target).square().mean()
        return torch.autograd.grad(loss, (x, down, up))

    for found, wanted in zip(
        gradients(WeightTensor(weight, torch.float32)), gradients(expected), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_fused_layers_are_split_and_stacked_in_their_blocks(plain: Tensor) -> None:
    weight, expected = packed(plain, "nf4", nested=True)
    whole = WeightTensor(weight, torch.float32)
    q, k, v = whole.chunk(3)
    assert {type(part.stored) for part in (q, k, v)} == {FourBitWeight}
    stacked = torch.cat([k, q, v])
    assert isinstance(stacked, WeightTensor)
    assert stacked.stored.nbytes < expected.nbytes / 5
    assert torch.equal(stacked.plain(), expected[[*range(100, 200), *range(100), *range(200, 300)]])


@pytest.mark.parametrize("quantisation", [Nf4(), Fp4()], ids=KINDS)
def test_plain_weights_are_packed_as_bitsandbytes_does(plain: Tensor, quantisation: Nf4 | Fp4) -> None:
    made = quantisation.pack(plain.to(torch.bfloat16), "cpu")
    assert made.dtype == torch.bfloat16
    numbers, state = oracle.quantize_4bit(plain.to(torch.bfloat16), quant_type=quantisation.kind)
    assert torch.equal(made.plain(), by_hand(numbers, state, plain.shape).bfloat16())
    assert made.stored.kind == quantisation.kind.upper()


def test_another_device_gets_all_of_it(plain: Tensor) -> None:
    weight, _ = packed(plain, "nf4", nested=True)
    moved = weight.to("meta")
    assert {tensor.device.type for tensor in moved.tensors} == {"meta"}
    assert moved.shape == weight.shape


@pytest.mark.gpu
@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [128, 96])
def test_a_gpu_multiplies_as_a_processor_does(kind: FourBitKind, nested: bool, columns: int) -> None:
    weight, expected = packed(torch.randn(300, columns), kind, nested=nested)
    there = weight.to("cuda")
    torch.testing.assert_close(there.dequantised(torch.float32).cpu(), expected)
    for tokens in (1, 64):
        x = torch.randn(tokens, columns)
        found = there.linear(x.cuda().bfloat16(), None).float().cpu()
        wanted = F.linear(x.bfloat16().float(), expected)
        torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.2)
