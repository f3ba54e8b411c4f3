"""Weights in GGUF's blocks as layers hold them."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.stacked import StackedWeight
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.weights import build_empty, load_network
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.weight import GgufWeight


def weight_of(type_name: str, *shape: int) -> tuple[WeightTensor, Tensor]:
    """A random weight in blocks, and its plain numbers."""
    numbers = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
    kind = gguf.GGMLQuantizationType[type_name]
    packed = gguf.quants.quantize(numbers.reshape(-1, block_type(type_name).block_size), kind)
    plain = torch.from_numpy(gguf.quants.dequantize(packed, kind)).reshape(shape)
    stored = GgufWeight(torch.from_numpy(packed.reshape(-1)), type_name, shape)
    return WeightTensor(stored, torch.float32), plain


def loaded(layer: nn.Module, **tensors: Tensor) -> nn.Module:
    network = build_empty(lambda: nn.Sequential(layer))
    return load_network(
        network,
        {f"0.{name}": tensor for name, tensor in tensors.items()},
        torch.float32,
        "cpu",
        where="some_file",
    )


def stored_in(weight: object) -> object:
    assert isinstance(weight, WeightTensor)
    return weight.stored


@pytest.mark.parametrize("type_name", ["Q8_0", "Q4_0", "Q5_1", "TQ2_0"])
def test_a_weight_is_its_plain_numbers(type_name: str) -> None:
    weight, plain = weight_of(type_name, 6, 512)
    assert torch.equal(weight.plain(), plain)
    assert torch.equal(weight.to(torch.bfloat16).plain(), plain.bfloat16())


def test_it_tells_what_it_is_and_takes() -> None:
    stored = weight_of("Q5_1", 6, 64)[0].stored
    assert (stored.kind, stored.nbytes, stored.numel) == ("Q5_1", 6 * 2 * 24, 384)


def test_rows_of_whole_blocks_are_a_part_of_the_same_bytes() -> None:
    weight, plain = weight_of("Q4_0", 6, 64)
    part = weight[2:5]
    assert torch.equal(part.plain(), plain[2:5])
    stored = stored_in(part)
    assert isinstance(stored, GgufWeight)
    assert stored.packed.data_ptr() == weight.stored.tensors[0].data_ptr() + 2 * 2 * 18


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 3), (3, 8), (5, 5)])
def test_rows_that_end_within_blocks_are_plain_numbers(first: int, last: int) -> None:
    weight, plain = weight_of("Q8_0", 8, 3, 2, 2)  # 12 numbers a row
    part = weight.stored.rows(first, last)
    assert part.shape == (last - first, 3, 2, 2)
    assert torch.equal(part.dequantised(torch.float32), plain[first:last])


def test_rows_within_blocks_that_begin_and_end_with_one_stay_packed() -> None:
    weight, plain = weight_of("Q8_0", 16, 3, 2, 2)
    part = weight.stored.rows(8, 16)
    assert isinstance(part, GgufWeight)
    assert torch.equal(part.dequantised(torch.float32), plain[8:])


def test_a_fused_weight_is_split_and_put_together_without_plain_numbers() -> None:
    weight, plain = weight_of("Q8_0", 9, 32)
    q, k, v = weight.chunk(3)
    assert torch.equal(k.plain(), plain[3:6])
    again = torch.cat([v, q])
    assert isinstance(stored_in(again), StackedWeight)
    assert stored_in(again).kind == "Q8_0"
    assert torch.equal(again.plain(), torch.cat([plain[6:], plain[:3]]))


def test_weights_of_several_types_are_stacked() -> None:
    (first, first_plain), (second, second_plain) = weight_of("Q8_0", 3, 64), weight_of("Q4_0", 2, 64)
    both = torch.cat([first, second])
    assert stored_in(both).kind == "Q8_0+Q4_0"
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    product = nn.functional.linear(x, both)
    torch.testing.assert_close(product, x @ torch.cat([first_plain, second_plain]).T)


def test_a_linear_layer_multiplies_with_it() -> None:
    weight, plain = weight_of("Q8_0", 7, 64)
    layer = loaded(nn.Linear(64, 7), weight=weight, bias=torch.arange(7.0))
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), nn.functional.linear(x, plain, torch.arange(7.0)))


def test_a_convolution_works_with_it() -> None:
    weight, plain = weight_of("Q8_0", 8, 4, 3, 3)
    layer = loaded(nn.Conv2d(4, 8, 3, bias=False), weight=weight)
    picture = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(picture), nn.functional.conv2d(picture, plain))


@pytest.mark.parametrize("width", [64, 16])  # whole blocks a row, and half a block
def test_an_embedding_gives_rows_of_it(width: int) -> None:
    weight, plain = weight_of("Q4_0", 10, width)
    layer = loaded(nn.Embedding(10, width), weight=weight)
    ids = torch.tensor([[9, 0, 3], [3, 3, 1]])
    assert torch.equal(layer(ids), plain[ids])
    assert layer(torch.empty(0, dtype=torch.long)).shape == (0, width)


def test_an_embedding_reads_no_other_rows() -> None:
    rows, width = 1 << 34, 32  # two TiB as float32
    packed = torch.zeros(1, dtype=torch.uint8).expand(rows * 18)
    stored = GgufWeight(packed, "Q4_0", (rows, width))
    assert stored.embedding(torch.tensor([0, rows - 1]), torch.float32).shape == (2, width)


def test_an_embedding_refuses_rows_that_it_has_not() -> None:
    layer = loaded(nn.Embedding(4, 32), weight=weight_of("Q4_0", 4, 32)[0])
    with pytest.raises(IndexError):
        layer(torch.tensor([4]))


def test_another_type_to_compute_in_costs_nothing() -> None:
    weight, _ = weight_of("Q4_0", 4, 32)
    narrow = weight.to(torch.bfloat16)
    assert narrow.dtype == torch.bfloat16
    assert stored_in(narrow).tensors[0].data_ptr() == weight.stored.tensors[0].data_ptr()


def test_a_weight_goes_to_another_device_in_its_blocks() -> None:
    stored = weight_of("Q4_0", 4, 32)[0].stored.to("meta")
    assert isinstance(stored, GgufWeight)
    assert (stored.packed.dtype, stored.device.type) == (torch.uint8, "meta")
    assert not isinstance(stored, PlainWeight)
