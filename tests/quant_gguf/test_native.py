"""The kernels in C: numbers bit for bit those of the package `gguf`, products close to those in float64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("sfumato_gguf_kernels")

from sfumato_quant_gguf.native import MOST_TOKENS, NativeKernels, native_kernels

TYPES = (
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
)
_BEST = native_kernels()
VARIANTS = range((_BEST.variant if _BEST else 0) + 1)


def library() -> Path:
    import sfumato_gguf_kernels

    assert sfumato_gguf_kernels.LIBRARY is not None
    return sfumato_gguf_kernels.LIBRARY


@pytest.fixture(params=VARIANTS, ids=["baseline", "AVX2", "AVX-512"][: len(VARIANTS)])
def kernels(request: pytest.FixtureRequest) -> NativeKernels:
    return NativeKernels(library(), request.param)


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def sizes(type_name: str) -> tuple[int, int]:
    return gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_name]]


def any_blocks(type_name: str, count: int) -> np.ndarray:
    """Random bytes, among them scales that are infinite or no numbers; and blocks of one byte throughout."""
    _, size = sizes(type_name)
    blocks = np.random.default_rng(size).integers(0, 256, (count, size), dtype=np.uint8)
    for at, byte in enumerate((0x00, 0xFF, 0x7C, 0xFC, 0x7E, 0x80, 0x01, 0x7B)):
        blocks[at] = byte
    return blocks


def tame_blocks(type_name: str, count: int) -> np.ndarray:
    """Random blocks whose numbers are finite and of ordinary size."""
    drawn = any_blocks(type_name, 20 * count)
    largest = np.abs(by_gguf(drawn, type_name)).max(axis=-1)
    found = drawn[(largest > 1e-3) & (largest < 1e3)][:count]  # NaN fails both
    assert len(found) == count
    return found


def by_gguf(blocks: np.ndarray, type_name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[type_name])


def tensor(blocks: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(blocks).reshape(-1))


def assert_same_bits(found: Tensor, wanted: Tensor) -> None:
    """NaN has many forms; all other numbers have one, zeros with their signs."""
    as_integers = {4: torch.int32, 2: torch.int16}[found.itemsize]
    same = found.view(as_integers) == wanted.view(as_integers)
    assert bool((same | (found.isnan() & wanted.isnan())).all())


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("count", [64, 61])  # 61 blocks of 32 leave a part of a tile
def test_any_bytes_are_dequantised_bit_for_bit_as_the_package_does(
    kernels: NativeKernels, type_name: str, count: int
) -> None:
    blocks = any_blocks(type_name, count)
    wanted = torch.from_numpy(by_gguf(blocks, type_name)).reshape(-1)
    for dtype in (torch.float32, torch.bfloat16):
        out = torch.empty(wanted.shape, dtype=dtype)
        assert kernels.dequantise(type_name, tensor(blocks), out)
        assert_same_bits(out, wanted.to(dtype))


def test_rounding_to_bfloat16_meets_ties_and_the_largest_numbers(kernels: NativeKernels) -> None:
    scales = np.arange(0, 0x10000, dtype=np.uint16).view(np.uint8).reshape(-1, 2)  # every float16 there is
    blocks = np.concatenate(
        [scales, np.tile(np.arange(-16, 16, dtype=np.int8), (len(scales), 1)).view("u1")], 1
    )
    wanted = torch.from_numpy(by_gguf(blocks, "Q8_0")).reshape(-1)
    out = torch.empty(wanted.shape, dtype=torch.bfloat16)
    assert kernels.dequantise("Q8_0", tensor(blocks), out)
    assert_same_bits(out, wanted.bfloat16())


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("tokens", [1, 2, 5, MOST_TOKENS])
def test_products_are_as_close_to_exact_ones_as_float32_allows(
    kernels: NativeKernels, type_name: str, tokens: int
) -> None:
    """Sums of n products are off by a few roundings (6e-8) of the sum of their sizes, not by n."""
    rows, (block, _) = 33, sizes(type_name)
    columns = 256 + max(block, 96)  # the last tile of the small blocks is not full
    blocks = tame_blocks(type_name, rows * columns // block)
    weight = torch.from_numpy(by_gguf(blocks, type_name)).reshape(rows, columns).double()
    x = torch.randn(tokens, columns, generator=torch.Generator().manual_seed(tokens))
    out = torch.empty(tokens, rows)
    assert kernels.linear(type_name, tensor(blocks), (rows, columns), x, None, out)
    error = (out - x.double() @ weight.T).abs() / (x.double().abs() @ weight.abs().T)
    assert float(error.max()) < 3e-7


def test_a_bias_is_added_before_the_result_is_rounded(kernels: NativeKernels) -> None:
    blocks = tame_blocks("Q8_0", 40)
    weight = torch.from_numpy(by_gguf(blocks, "Q8_0")).reshape(5, 256)
    x, bias = torch.randn(2, 256).bfloat16(), torch.randn(5).bfloat16()
    out = torch.empty(2, 5, dtype=torch.bfloat16)
    assert kernels.linear("Q8_0", tensor(blocks), (5, 256), x, bias, out)
    exact = x.double() @ weight.double().T + bias.double()
    torch.testing.assert_close(out.double(), exact, rtol=2**-8, atol=1e-5)


def test_a_weight_that_is_no_number_gives_no_number(kernels: NativeKernels) -> None:
    blocks = tame_blocks("Q4_K", 3)
    blocks[1, :2] = 0xFF
    for tokens in (1, 2):
        out = torch.empty(tokens, 3)
        assert kernels.linear("Q4_K", tensor(blocks), (3, 256), torch.ones(tokens, 256), None, out)
        assert out[:, 1].isnan().all()
        assert out[:, [0, 2]].isfinite().all()


def test_a_result_does_not_depend_on_the_number_of_threads(
    kernels: NativeKernels, four_threads: None
) -> None:
    blocks = np.tile(tame_blocks("Q6_K", 2 * 1367), (3, 1))
    x, out, shared = torch.randn(1, 512), torch.empty(1, 4101), torch.empty(1, 4101)
    assert kernels.linear("Q6_K", tensor(blocks), (4101, 512), x, None, shared)
    numbers = torch.empty(2, 4101 * 512)
    assert kernels.dequantise("Q6_K", tensor(blocks), numbers[0])
    torch.set_num_threads(1)
    assert kernels.linear("Q6_K", tensor(blocks), (4101, 512), x, None, out)
    assert kernels.dequantise("Q6_K", tensor(blocks), numbers[1])
    assert torch.equal(out, shared)
    assert torch.equal(numbers[0], numbers[1])


def test_sizes_that_do_not_fit_are_refused_before_anything_is_read(kernels: NativeKernels) -> None:
    packed = tensor(tame_blocks("Q8_0", 8))
    for numbers in (255, 257, 512, 224):
        with pytest.raises(ValueError, match="are not"):
            kernels.dequantise("Q8_0", packed, torch.empty(numbers))
    for shape, inputs, outputs in (
        ((2, 128), 128, 3),
        ((2, 128), 96, 2),
        ((3, 128), 128, 3),
        ((1, 128), 128, 1),
    ):
        with pytest.raises(ValueError, match="do not turn"):
            kernels.linear("Q8_0", packed, shape, torch.ones(1, inputs), None, torch.empty(1, outputs))


def test_what_there_is_no_kernel_for_is_left_alone(kernels: NativeKernels) -> None:
    packed, x, out = tensor(tame_blocks("Q8_0", 8)), torch.ones(1, 256), torch.full((1, 1), 7.0)
    assert not kernels.dequantise("IQ1_S", packed, out)
    assert not kernels.dequantise("Q8_0", packed, torch.empty(256, dtype=torch.float16))
    assert not kernels.dequantise("Q8_0", packed, torch.empty(256, 2)[:, 0])
    assert not kernels.linear("IQ1_S", packed, (1, 256), x, None, out)
    assert not kernels.linear("Q8_0", packed, (1, 256), x.expand(MOST_TOKENS + 1, -1), None, out)
    assert not kernels.linear("Q8_0", packed, (1, 256), x.double(), None, out)
    assert not kernels.linear("Q8_0", packed, (16, 16), x, None, out)  # rows end within blocks
    assert out.item() == 7
