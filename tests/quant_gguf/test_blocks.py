"""Blocks as plain numbers, judged by the package gguf bit for bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.blocks.dequantise import dequantise
from sfumato_quant_gguf.blocks.layout import WITH_KERNELS, block_type, supported_types, types_table
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.native import native_kernels

Bytes = npt.NDArray[np.uint8]

TYPES = [layout.name for layout in supported_types()]
SCALES_AT = {  # where blocks have float16
    "Q4_1": (0, 2),
    "Q5_1": (0, 2),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
    "IQ1_M": (),  # in pieces
    "MXFP4": (),
    "NVFP4": (),
}
# NaN, infinite, zero, least and largest subnormal, least normal, one, largest; of both signs
HARD_SCALES = [
    sign | bits for bits in (0x7E00, 0x7C00, 0, 1, 0x3FF, 0x400, 0x3C00, 0x7BFF) for sign in (0, 0x8000)
]


def random_blocks(type_name: str, count: int) -> Bytes:
    size = block_type(type_name).block_bytes
    return np.random.default_rng(len(type_name) + count).integers(0, 256, (count, size), dtype=np.uint8)


def hard_blocks(type_name: str) -> Bytes:
    """Each byte of a block the same; and each hard scale with each other one, over random bytes."""
    same = np.repeat(np.arange(256, dtype=np.uint8)[:, None], block_type(type_name).block_bytes, axis=1)
    pairs = [(first, second) for first in HARD_SCALES for second in HARD_SCALES]
    scaled = random_blocks(type_name, len(pairs))
    for block, pair in zip(scaled, pairs, strict=True):
        for at, bits in zip(SCALES_AT.get(type_name, (0,)), pair, strict=False):
            block[at : at + 2] = np.array([bits], dtype=np.uint16).view(np.uint8)
        if type_name == "IQ1_M":
            words = block[48:56].view(np.uint16)
            words[:] = words & 0xFFF | np.array([pair[0] << shift for shift in (12, 8, 4, 0)]) & 0xF000
    return np.concatenate([same, scaled])


def numbers_of(type_name: str, blocks: Bytes) -> npt.NDArray[np.float32]:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[type_name]).reshape(-1)


def rounded_to_bfloat16(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper halves of the bits, to the nearest, ties to even; NaN is not for here."""
    bits = numbers.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def assert_same_bits(found: Tensor, wanted: npt.NDArray[np.float32]) -> None:
    nan = np.isnan(wanted)
    assert np.array_equal(np.isnan(found.numpy()), nan)
    assert np.array_equal(found.numpy().view(np.uint32)[~nan], wanted.view(np.uint32)[~nan])


def is_dequantised_by_the_package(kind: gguf.GGMLQuantizationType) -> bool:
    try:
        gguf.quants.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def test_all_types_of_blocks_that_the_package_knows_are_known() -> None:
    kinds = {kind.name for kind in gguf.GGMLQuantizationType if is_dequantised_by_the_package(kind)}
    assert set(TYPES) == kinds - {"F32", "F16", "BF16"}


def test_the_guide_lists_all_types() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "gguf.md"
    assert types_table() in guide.read_text(encoding="utf-8")


def test_kernels_in_c_are_for_the_types_that_are_said_to_have_them() -> None:
    kernels = native_kernels() or pytest.skip("sfumato-gguf-kernels is not installed")
    for kind in supported_types():
        packed, out = torch.zeros(kind.block_bytes, dtype=torch.uint8), torch.empty(kind.block_size)
        assert kernels.dequantise(kind.name, packed, out) == (kind.name in WITH_KERNELS)


def test_kernels_in_triton_are_for_the_types_that_are_said_to_have_them() -> None:
    pytest.importorskip("triton")
    from sfumato_quant_gguf.triton_kernels.decoding import GROUP_SIZES

    assert set(GROUP_SIZES) == set(WITH_KERNELS)


@pytest.mark.parametrize("type_name", TYPES)
def test_sizes_of_blocks_are_those_of_the_package(type_name: str) -> None:
    layout = block_type(type_name)
    sizes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_name]]
    assert (layout.block_size, layout.block_bytes) == sizes


@pytest.mark.parametrize("type_name", TYPES)
def test_random_blocks_become_the_same_numbers_bit_for_bit(type_name: str) -> None:
    blocks = random_blocks(type_name, (1 << 19) // block_type(type_name).block_size + 13)  # a tile and more
    found = dequantise(torch.from_numpy(blocks), type_name, torch.float32)
    assert_same_bits(found, numbers_of(type_name, blocks))


@pytest.mark.parametrize("type_name", TYPES)
def test_blocks_with_hard_scales_become_the_same_numbers_bit_for_bit(type_name: str) -> None:
    blocks = hard_blocks(type_name)
    assert_same_bits(
        dequantise(torch.from_numpy(blocks), type_name, torch.float32), numbers_of(type_name, blocks)
    )


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_blocks_become_the_same_numbers(type_name: str, count: int) -> None:
    blocks = random_blocks(type_name, count)
    found = dequantise(torch.from_numpy(blocks), type_name, torch.float32)
    assert_same_bits(found, numbers_of(type_name, blocks))


@pytest.mark.parametrize("type_name", TYPES)
def test_narrow_types_are_the_numbers_rounded_to_the_nearest(type_name: str) -> None:
    blocks = np.concatenate([random_blocks(type_name, 300), hard_blocks(type_name)])
    wanted = numbers_of(type_name, blocks)
    nan = np.isnan(wanted)
    found = dequantise(torch.from_numpy(blocks), type_name, torch.bfloat16)
    assert np.array_equal(found.isnan().numpy(), nan)
    assert np.array_equal(
        found.view(torch.int16).numpy().view(np.uint16)[~nan], rounded_to_bfloat16(wanted)[~nan]
    )
    half = dequantise(torch.from_numpy(blocks), type_name, torch.float16).numpy()
    with np.errstate(over="ignore"):
        assert np.array_equal(half[~nan].view(np.uint16), wanted.astype(np.float16)[~nan].view(np.uint16))


@pytest.mark.parametrize("type_name", TYPES)
def test_blocks_may_begin_at_any_byte_and_are_not_written_to(type_name: str) -> None:
    blocks = random_blocks(type_name, 5)
    shifted = torch.from_numpy(np.concatenate([[np.uint8(0)], blocks.reshape(-1)]))
    before = shifted.clone()
    assert_same_bits(dequantise(shifted[1:], type_name, torch.float32), numbers_of(type_name, blocks))
    assert torch.equal(shifted, before)


def test_numbers_go_where_they_are_wanted() -> None:
    blocks = random_blocks("Q8_0", 4)
    out = torch.empty(4, 32)
    assert dequantise(torch.from_numpy(blocks), "Q8_0", torch.float32, out) is out
    assert_same_bits(out.view(-1), numbers_of("Q8_0", blocks))


def test_threads_do_not_disturb_each_other() -> None:
    weights = [torch.from_numpy(random_blocks("Q4_K", 8192 + number)) for number in range(4)]
    alone = [dequantise(weight, "Q4_K", torch.bfloat16).view(torch.int16) for weight in weights]
    tiles = Tiles()
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(
            lambda weight: dequantise(weight, "Q4_K", torch.bfloat16, tiles=tiles), weights * 5
        )
        for number, found in enumerate(together):
            assert torch.equal(found.view(torch.int16), alone[number % 4])


@pytest.mark.parametrize("type_name", TYPES)
def test_kept_tiles_serve_weights_of_any_size_in_and_out_of_inference(type_name: str) -> None:
    tiles = Tiles()
    size = block_type(type_name).block_size
    for count, in_inference in (
        (3, True),
        ((1 << 19) // size + 5, True),
        (7, False),
        ((1 << 19) // size, False),
    ):
        blocks = random_blocks(type_name, count)
        with torch.inference_mode(in_inference):
            found = dequantise(torch.from_numpy(blocks), type_name, torch.float32, tiles=tiles)
        assert_same_bits(found, numbers_of(type_name, blocks))


def test_tiles_follow_the_number_of_threads() -> None:
    tiles, device, before = Tiles(), torch.device("cpu"), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = tiles.tile_for("Q4_K", 1 << 20, device)
        assert tiles.tile_for("Q4_K", 1 << 20, device) is alone
        torch.set_num_threads(2)
        assert tiles.tile_for("Q4_K", 1 << 20, device).blocks == 2 * alone.blocks
    finally:
        torch.set_num_threads(before)


def test_threads_have_tiles_of_their_own() -> None:
    tiles, device = Tiles(), torch.device("cpu")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(tiles.tile_for, "Q4_K", 1 << 20, device).result()
    assert tiles.tile_for("Q4_K", 1 << 20, device) is not other


def test_rows_made_plain_take_one_buffer_until_the_weights_go() -> None:
    tiles = Tiles()
    places = {tiles.plain(rows, 64, torch.float32).data_ptr() for rows in (256, 100, 256)}
    assert len(places) == 1
    long_rows = tiles.plain(256, 1 << 20, torch.bfloat16)
    assert tiles.plain(256, 64, torch.float32).data_ptr() in places
    assert long_rows.data_ptr() not in places


def test_no_blocks_are_no_numbers() -> None:
    assert dequantise(torch.empty(0, dtype=torch.uint8), "Q6_K", torch.float32).shape == (0,)


def test_a_part_of_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="not whole blocks of Q4_0"):
        dequantise(torch.zeros(19, dtype=torch.uint8), "Q4_0", torch.float32)


@pytest.mark.parametrize("out", [torch.empty(31), torch.empty(32, dtype=torch.bfloat16)])
def test_a_place_that_does_not_fit_is_refused(out: Tensor) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        dequantise(torch.zeros(18, dtype=torch.uint8), "Q4_0", torch.float32, out)


@pytest.mark.parametrize("type_name", ["Q8_K", "Q9_9"])
def test_a_type_that_nobody_can_dequantise_is_named(type_name: str) -> None:
    with pytest.raises(CheckpointError, match=f"{type_name} cannot be used"):
        dequantise(torch.zeros(292, dtype=torch.uint8), type_name, torch.float32)
