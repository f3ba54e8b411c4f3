"""Linear layers with weights in GGUF's blocks: by kernels where they are installed, and by torch alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import gguf
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_gguf.dequantise import Kernels, dequantise, dequantise_by
from sfumato_quant_gguf.linear import linear, linear_by
from sfumato_quant_gguf.native import native_kernels
from sfumato_quant_gguf.weight import GgufWeight

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


@pytest.fixture(params=["compiled kernels", "torch alone"])
def kernels(request: pytest.FixtureRequest) -> Kernels | None:
    if request.param == "torch alone":
        return None
    return native_kernels() or pytest.skip("sfumato-gguf-kernels is not installed")


def weight_and_numbers(type_name: str, outputs: int, inputs: int) -> tuple[GgufWeight, Tensor]:
    kind = gguf.GGMLQuantizationType[type_name]
    numbers = np.random.default_rng(7).standard_normal((outputs, inputs), dtype=np.float32)
    if type_name in ("Q8_0", "Q4_0", "Q5_1"):
        blocks = gguf.quants.quantize(numbers, kind)
    else:  # the package only reads them
        size, size_bytes = gguf.GGML_QUANT_SIZES[kind]
        blocks = np.random.default_rng(8).integers(
            0, 256, (outputs, inputs // size, size_bytes), dtype=np.uint8
        )
        places = {"Q4_K": (0, 2), "Q6_K": (208,), "IQ1_S": (0,)}[type_name]
        for at in places:
            blocks[..., at : at + 2] = np.array([0.01], dtype=np.float16).view(np.uint8)
        blocks = blocks.reshape(outputs, -1)
    plain = torch.from_numpy(gguf.quants.dequantize(blocks, kind)).reshape(outputs, inputs)
    return GgufWeight(torch.from_numpy(blocks.reshape(-1)), type_name, (outputs, inputs)), plain


def assert_close(found: Tensor, wanted: Tensor) -> None:
    error = (found.double() - wanted.double()).norm() / wanted.double().norm()
    assert float(error) < TOLERANCES[found.dtype]


@pytest.mark.parametrize("type_name", ["Q8_0", "Q4_0", "Q5_1", "Q4_K", "Q6_K", "IQ1_S"])
@pytest.mark.parametrize("tokens", [1, 3, 20])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_a_layer_gives_what_plain_weights_give(
    kernels: Kernels | None, type_name: str, tokens: int, dtype: torch.dtype
) -> None:
    weight, plain = weight_and_numbers(type_name, 37, 512)
    x = torch.randn(tokens, 512, generator=torch.Generator().manual_seed(1)).to(dtype)
    bias = torch.randn(37, generator=torch.Generator().manual_seed(2)).to(dtype)
    for own in (None, bias):
        found = linear_by(kernels, weight, x, own)
        assert found.dtype == dtype
        assert_close(found, F.linear(x.double(), plain.double(), None if own is None else own.double()))


def test_several_tiles_and_a_last_one_that_is_not_full_make_one_result(kernels: Kernels | None) -> None:
    weight, plain = weight_and_numbers("Q8_0", 1100, 3072)  # tiles of 256 rows
    x, bias = torch.randn(11, 3072), torch.randn(1100)
    assert_close(linear_by(kernels, weight, x, bias), F.linear(x, plain, bias))


def test_batches_keep_their_shape_and_nothing_is_a_batch_too(kernels: Kernels | None) -> None:
    weight, plain = weight_and_numbers("Q8_0", 6, 64)
    for shape in ((64,), (1, 64), (2, 3, 64), (2, 1, 5, 64), (0, 64), (2, 0, 64)):
        x = torch.randn(shape)
        found = linear_by(kernels, weight, x, None)
        assert found.shape == (*shape[:-1], 6)
        if x.numel():
            assert_close(found, F.linear(x, plain))


def test_inputs_that_do_not_lie_one_after_another_are_read_rightly(kernels: Kernels | None) -> None:
    weight, plain = weight_and_numbers("Q8_0", 6, 64)
    x = torch.randn(64, 2, 10).permute(1, 2, 0)
    assert_close(linear_by(kernels, weight, x[:, ::5], None), F.linear(x[:, ::5], plain))


def test_float64_is_computed_in_float64(kernels: Kernels | None) -> None:
    weight, plain = weight_and_numbers("Q8_0", 6, 64)
    x = torch.randn(2, 64, dtype=torch.float64)
    torch.testing.assert_close(linear_by(kernels, weight, x, None), F.linear(x, plain.double()))


def test_rows_that_end_within_blocks_are_multiplied_too(kernels: Kernels | None) -> None:
    whole, plain = weight_and_numbers("Q8_0", 2, 64)
    weight = GgufWeight(whole.packed, "Q8_0", (8, 16))
    x = torch.randn(3, 16)
    assert_close(linear_by(kernels, weight, x, None), F.linear(x, plain.reshape(8, 16)))


def test_another_number_of_inputs_is_refused(kernels: Kernels | None) -> None:
    weight, _ = weight_and_numbers("Q8_0", 6, 64)
    for inputs in (32, 128):
        with pytest.raises(ValueError, match="cannot be multiplied"):
            linear_by(kernels, weight, torch.ones(2, inputs), None)


def test_a_bias_that_is_trained_gets_its_gradient(kernels: Kernels | None) -> None:
    weight, _ = weight_and_numbers("Q8_0", 6, 64)
    bias = torch.zeros(6, requires_grad=True)
    linear_by(kernels, weight, torch.ones(2, 64), bias).sum().backward()
    assert bias.grad is not None
    assert torch.equal(bias.grad, torch.full((6,), 2.0))


def test_layers_of_torch_hand_the_call_to_the_stored_weight() -> None:
    stored, plain = weight_and_numbers("Q4_K", 8, 256)
    layer = torch.nn.Linear(256, 8, bias=False)
    layer.weight = torch.nn.Parameter(WeightTensor(stored, torch.bfloat16), requires_grad=False)
    x = torch.randn(1, 256).bfloat16()
    with torch.no_grad():
        found = layer(x)
    assert torch.equal(found, linear(stored, x, None))
    assert_close(found, F.linear(x.double(), plain.double()))


def test_numbers_are_the_same_whoever_dequantises(kernels: Kernels | None) -> None:
    for type_name in ("Q8_0", "Q4_K", "IQ1_S"):
        stored, plain = weight_and_numbers(type_name, 5, 512)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            wanted = plain.reshape(-1).to(dtype)
            out = torch.empty_like(wanted)
            assert dequantise_by(kernels, stored.packed, type_name, dtype, out) is out
            assert torch.equal(out, wanted)
            assert torch.equal(dequantise(stored.packed, type_name, dtype), wanted)


def test_parts_of_blocks_and_places_that_do_not_fit_are_refused(kernels: Kernels | None) -> None:
    stored, _ = weight_and_numbers("Q8_0", 2, 64)
    with pytest.raises(ValueError, match="whole blocks"):
        dequantise_by(kernels, stored.packed[:-1], "Q8_0", torch.float32)
    for out in (torch.empty(127), torch.empty(128, dtype=torch.float64)):
        with pytest.raises(ValueError, match="fit"):
            dequantise_by(kernels, stored.packed, "Q8_0", torch.float32, out)


@pytest.mark.parametrize("tokens", [1, 3, 20])
def test_torch_s_defaults_for_new_tensors_change_nothing(kernels: Kernels | None, tokens: int) -> None:
    weight, plain = weight_and_numbers("Q8_0", 37, 512)
    x = torch.randn(tokens, 512).bfloat16()
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = linear_by(kernels, weight, x, None)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_close(found, F.linear(x.double(), plain.double()))


def test_a_library_that_is_not_these_kernels_is_told_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an update of the plugin alone: the kernels that are installed lack a function."""
    installed = ModuleType("sfumato_gguf_kernels")
    monkeypatch.setattr(installed, "LIBRARY", Path(torch._C.__file__), raising=False)
    monkeypatch.setitem(sys.modules, installed.__name__, installed)
    assert native_kernels.__wrapped__() is None
    assert "of another version" in caplog.text
