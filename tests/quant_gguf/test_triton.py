"""The Triton kernels: by Triton's interpreter where it is installed, and on a device where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato_quant_gguf.triton_kernels import triton_kernels

BLOCKS_OF_32 = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL"]
BLOCKS_OF_256 = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"]
TYPES = [*BLOCKS_OF_32, *BLOCKS_OF_256]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SCALES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,)}  # elsewhere first, and some have a second one
SECOND_SCALES = ("Q4_1", "Q5_1", "Q4_K", "Q5_K")
OUTPUTS = 19
"""The last program has rows to leave out."""

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def block_sizes(type_name: str) -> tuple[int, int]:
    """Numbers and bytes of a block."""
    return gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_name]]


def inputs_of(type_name: str) -> int:
    """More than one tile; where a tile is several blocks, the last one is not whole."""
    return 544 if type_name in BLOCKS_OF_32 else 512


def random_bytes(type_name: str, blocks: int) -> Tensor:
    """Any bytes are blocks, some of them with scales that are infinite or none."""
    raw = np.random.default_rng(len(type_name) + blocks).integers(0, 256, (blocks, block_sizes(type_name)[1]))
    for number, special in enumerate((0x7C00, 0xFC00, 0x7E00, 0x0001, 0x8000)):
        raw[number, :2] = raw[number, -2:] = special & 255, special >> 8
    return torch.from_numpy(raw.astype(np.uint8).reshape(-1))


def moderate_weight(type_name: str, outputs: int, inputs: int) -> Tensor:
    """Blocks with scales as weights have them."""
    size, size_bytes = block_sizes(type_name)
    generator = np.random.default_rng(7)
    raw = generator.integers(0, 256, (outputs * inputs // size, size_bytes)).astype(np.uint8)
    places = SCALES.get(type_name, (0, 2) if type_name in SECOND_SCALES else (0,))
    for place in places:
        scales = (generator.random((len(raw), 1)) * 0.01 + 0.001).astype(np.float16)
        raw[:, place : place + 2] = scales.view(np.uint8)
    return torch.from_numpy(raw.reshape(-1))


def plain_numbers(type_name: str, packed: Tensor) -> Tensor:
    """By the oracle: float32, flat."""
    kind = gguf.GGMLQuantizationType[type_name]
    blocks = packed.numpy().reshape(-1, block_sizes(type_name)[1])
    with np.errstate(all="ignore"):
        return torch.from_numpy(gguf.quants.dequantize(blocks, kind).reshape(-1).copy())


def bits(numbers: Tensor) -> Tensor:
    """Of each number, with one and the same for all that are none."""
    integers = {2: torch.int16, 4: torch.int32}[numbers.dtype.itemsize]
    return numbers.view(integers).masked_fill(numbers.isnan(), -1)


def dense_product(type_name: str, packed: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
    """In float64, of the same numbers."""
    weight = plain_numbers(type_name, packed).reshape(OUTPUTS, inputs_of(type_name))
    product = x.double() @ weight.double().T
    return product if bias is None else product + bias.double()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


def dequantising_calls() -> dict[str, tuple[str, tuple[object, ...]]]:
    calls = {}
    for type_name in TYPES:
        blocks = 43 if type_name in BLOCKS_OF_32 else 7
        for dtype in DTYPES:
            out = torch.full((blocks * block_sizes(type_name)[0],), 7, dtype=dtype)
            calls[f"dequantise {type_name} {dtype}"] = (
                "dequantise",
                (type_name, random_bytes(type_name, blocks), out),
            )
    return calls


def product_calls() -> dict[str, tuple[str, tuple[object, ...]]]:
    calls, generator = {}, torch.Generator().manual_seed(5)
    for type_name in TYPES:
        inputs = inputs_of(type_name)
        packed = moderate_weight(type_name, OUTPUTS, inputs)
        for tokens in (1, 3, 16):
            x = torch.randn(tokens, inputs, generator=generator)
            bias = torch.randn(OUTPUTS, generator=generator) if tokens != 3 else None
            arguments = (type_name, packed, (OUTPUTS, inputs), x, bias, torch.full((tokens, OUTPUTS), 7.0))
            calls[f"linear {type_name} {tokens}"] = "linear", arguments
    return calls


def refused_calls() -> dict[str, tuple[str, tuple[object, ...]]]:
    packed, shape = moderate_weight("Q8_0", OUTPUTS, 64), (OUTPUTS, 64)

    def product(tokens: int, dtype: torch.dtype, out: torch.dtype) -> tuple[object, ...]:
        x, result = torch.ones(tokens, 64, dtype=dtype), torch.ones(tokens, OUTPUTS, dtype=out)
        return "Q8_0", packed, shape, x, None, result

    return {
        "many tokens": ("linear", product(17, torch.float32, torch.float32)),
        "no tokens": ("linear", product(0, torch.float32, torch.float32)),
        "another type out": ("linear", product(1, torch.float32, torch.float16)),
        "float64": ("linear", product(1, torch.float64, torch.float64)),
        "broken rows": ("linear", ("Q8_0", packed, (8, 48), torch.ones(1, 48), None, torch.ones(1, 8))),
        "unknown type": ("dequantise", ("IQ1_S", torch.zeros(50, dtype=torch.uint8), torch.ones(256))),
        "not contiguous": ("dequantise", ("Q8_0", torch.zeros(68).byte(), torch.ones(64, 2)[:, 0])),
        "integers": ("dequantise", ("Q8_0", torch.zeros(34).byte(), torch.ones(32, dtype=torch.int32))),
    }


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bool, Tensor]]:
    """Of all calls, from one process with Triton's interpreter, which is slow to start."""
    folder: Path = tmp_path_factory.mktemp("triton")
    torch.save({**dequantising_calls(), **product_calls(), **refused_calls()}, folder / "calls.pt")
    child = [sys.executable, "-W", "ignore", "-m", "tests.quant_gguf.triton_child", str(folder)]
    run = subprocess.run(
        child, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, tuple[bool, Tensor]] = torch.load(folder / "answers.pt", weights_only=False)
    return found


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("type_name", TYPES)
def test_numbers_are_those_of_the_format_bit_for_bit(
    answers: dict[str, tuple[bool, Tensor]], type_name: str, dtype: torch.dtype
) -> None:
    done, found = answers[f"dequantise {type_name} {dtype}"]

    _, (_, packed, _) = dequantising_calls()[f"dequantise {type_name} {dtype}"]
    assert done
    assert torch.equal(bits(found), bits(plain_numbers(type_name, packed).to(dtype)))


@needs_triton
@pytest.mark.parametrize("type_name", TYPES)
def test_bfloat16_numbers_are_neighbours_of_those_of_the_format(
    answers: dict[str, tuple[bool, Tensor]], type_name: str
) -> None:
    # Devices round to nearest, which a test below holds them to; Triton's interpreter cuts off.
    done, found = answers[f"dequantise {type_name} {torch.bfloat16}"]

    _, (_, packed, _) = dequantising_calls()[f"dequantise {type_name} {torch.bfloat16}"]
    expected = plain_numbers(type_name, packed)
    cut_off = (expected.view(torch.int32) >> 16).to(torch.int16)
    known = expected.isfinite()
    assert done
    assert torch.equal(found.view(torch.int16)[known], cut_off[known])


@needs_triton
@pytest.mark.parametrize("tokens", [1, 3, 16])
@pytest.mark.parametrize("type_name", TYPES)
def test_a_product_is_that_of_plain_numbers(
    answers: dict[str, tuple[bool, Tensor]], type_name: str, tokens: int
) -> None:
    done, found = answers[f"linear {type_name} {tokens}"]

    _, arguments = product_calls()[f"linear {type_name} {tokens}"]
    _, packed, _, x, bias, _ = arguments
    assert isinstance(packed, Tensor)
    assert isinstance(x, Tensor)
    assert isinstance(bias, Tensor | None)
    assert done
    assert relative_error(found, dense_product(type_name, packed, x, bias)) < 1e-6


@needs_triton
@pytest.mark.parametrize("name", refused_calls())
def test_what_there_is_no_kernel_for_is_left_alone(
    answers: dict[str, tuple[bool, Tensor]], name: str
) -> None:
    done, out = answers[name]

    assert not done
    assert bool((out == 1).all())


def test_a_cpu_has_no_kernels() -> None:
    assert triton_kernels(torch.device("cpu")) is None


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("type_name", TYPES)
def test_a_device_makes_the_same_numbers_bit_for_bit(type_name: str, dtype: torch.dtype) -> None:
    kernels = device_kernels()
    _, (_, packed, out) = dequantising_calls()[f"dequantise {type_name} {dtype}"]
    assert isinstance(packed, Tensor)
    assert isinstance(out, Tensor)
    numbers = out.cuda()

    assert kernels.dequantise(type_name, packed.cuda(), numbers)
    assert torch.equal(bits(numbers.cpu()), bits(plain_numbers(type_name, packed).to(dtype)))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("tokens", [1, 2, 16])
@pytest.mark.parametrize("type_name", TYPES)
def test_a_device_multiplies_as_with_plain_numbers(type_name: str, tokens: int, dtype: torch.dtype) -> None:
    inputs = inputs_of(type_name)
    packed = moderate_weight(type_name, OUTPUTS, inputs)
    x = torch.randn(tokens, inputs, generator=torch.Generator().manual_seed(2)).to(dtype)
    out = torch.empty(tokens, OUTPUTS, dtype=dtype, device="cuda")
    rounding = {torch.float32: 1e-6, torch.bfloat16: 5e-3, torch.float16: 1e-3}[dtype]

    assert device_kernels().linear(type_name, packed.cuda(), (OUTPUTS, inputs), x.cuda(), None, out)
    assert relative_error(out.cpu(), dense_product(type_name, packed, x, None)) < rounding


@pytest.mark.gpu
def test_a_part_of_a_weight_on_a_device_need_not_be_aligned() -> None:
    packed, inputs = moderate_weight("Q4_0", OUTPUTS, 544), 544
    x, out = torch.randn(1, inputs), torch.empty(1, OUTPUTS - 1, device="cuda")
    rest = packed.cuda()[len(packed) // OUTPUTS :]

    assert device_kernels().linear("Q4_0", rest, (OUTPUTS - 1, inputs), x.cuda(), None, out)
    assert relative_error(out.cpu(), dense_product("Q4_0", packed, x, None)[:, 1:]) < 1e-6


@pytest.mark.gpu
def test_one_token_takes_no_memory_for_plain_numbers() -> None:
    from sfumato_quant_gguf.weight import GgufWeight

    weight = GgufWeight(moderate_weight("Q4_K", 2048, 2048).cuda(), "Q4_K", (2048, 2048))
    x = torch.randn(1, 2048, device="cuda", dtype=torch.bfloat16)
    weight.linear(x, None)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()

    weight.linear(x, None)

    assert torch.cuda.max_memory_allocated() - before < weight.numel // 8


def device_kernels() -> Any:
    kernels = triton_kernels(torch.device("cuda"))
    if kernels is None:
        pytest.skip("Triton is not installed")
    return kernels
