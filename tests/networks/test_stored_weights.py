"""Weights in a stored form, met by everything that torch and its modules do with a weight."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.stacked import StackedWeight
from sfumato_networks.stored.tensor import WeightTensor

FP8 = torch.float8_e4m3fn
OUTPUTS, INPUTS = 6, 4


def fp8_weight(
    outputs: int = OUTPUTS,
    inputs: int = INPUTS,
    *rest: int,
    scaled: bool = True,
    dtype: torch.dtype = torch.float32,
) -> WeightTensor:
    generator = torch.Generator().manual_seed(outputs + inputs)
    data = torch.randn(outputs, inputs, *rest, generator=generator).to(FP8)
    scale = torch.rand(outputs, generator=generator) + 0.5 if scaled else None
    return WeightTensor(PlainWeight(data, scale), dtype)


def with_weight(layer: nn.Module, weight: Tensor) -> nn.Module:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer.requires_grad_(False)


def is_stored(tensor: Tensor) -> bool:
    return isinstance(tensor, WeightTensor)


@pytest.fixture(params=[False, True], ids=["grad mode", "inference mode"])
def inference(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# Parts and stacks


def test_parts_of_parts_of_a_stack_are_those_of_its_plain_numbers(inference: bool) -> None:
    plain = torch.randn(3, INPUTS)
    stacked = torch.cat([fp8_weight(), plain, fp8_weight(8, scaled=False)])
    numbers = stacked.plain()
    with torch.inference_mode(inference):
        part = stacked[1:15][2:][:9]
    assert is_stored(part)
    assert torch.equal(part.plain(), numbers[3:12])


def test_a_stack_of_stacks_is_flat() -> None:
    inner = StackedWeight([PlainWeight(torch.ones(1, 4)), PlainWeight(torch.zeros(2, 4))])
    stacked = torch.cat([WeightTensor(inner, torch.float32), fp8_weight()])
    assert isinstance(stacked, WeightTensor)
    assert isinstance(stacked.stored, StackedWeight)
    assert len(stacked.stored.parts) == 3


@pytest.mark.parametrize(
    "take",
    [
        lambda weight: weight.chunk(3),
        lambda weight: weight.split(4),
        lambda weight: weight.split([1, 2, 3]),
        lambda weight: torch.tensor_split(weight, 4),
        lambda weight: (weight.narrow(0, 1, 2), weight[-2:], weight[4:100], weight[2:2], weight[3:1]),
    ],
    ids=["chunk", "split", "split into sizes", "tensor_split", "narrow and slices"],
)
def test_parts_keep_the_stored_form(take: Callable[[Tensor], tuple[Tensor, ...]], inference: bool) -> None:
    weight = fp8_weight()
    with torch.inference_mode(inference):
        parts, expected = take(weight), take(weight.plain())
    assert all(map(is_stored, parts))
    for part, numbers in zip(parts, expected, strict=True):
        assert torch.equal(part.plain(), numbers)  # type: ignore[attr-defined]


def test_parts_without_rows_give_no_outputs() -> None:
    stacked = torch.cat([fp8_weight(), fp8_weight(), fp8_weight()[2:2]])
    assert F.linear(torch.ones(2, INPUTS), stacked[3:3]).shape == (2, 0)
    assert F.linear(torch.ones(2, INPUTS), stacked).shape == (2, 2 * OUTPUTS)


def test_sizes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(RuntimeError, match="sum exactly"):
        fp8_weight().split([2, 2])


def test_halves_are_swapped_in_the_stored_form() -> None:
    weight = fp8_weight()
    swapped = torch.cat(weight.chunk(2)[::-1])
    assert is_stored(swapped)
    assert torch.equal(F.linear(torch.eye(INPUTS), swapped).T, weight.plain().roll(OUTPUTS // 2, 0))


def test_what_cannot_be_taken_in_the_stored_form_is_taken_of_plain_numbers(inference: bool) -> None:
    weight = fp8_weight()
    numbers = weight.plain()
    x = torch.randn(3, INPUTS)
    with torch.inference_mode(inference):
        assert torch.equal(weight.roll(2, 0), numbers.roll(2, 0))
        assert torch.equal(weight[1::2], numbers[1::2])
        assert torch.equal(torch.cat([weight, weight], 1), torch.cat([numbers, numbers], 1))
        assert torch.equal(x @ weight.T, x @ numbers.T)
        assert torch.equal(torch.zeros(OUTPUTS, INPUTS).add_(weight), numbers)


def test_a_stack_with_what_is_trained_has_its_gradient() -> None:
    trained = nn.Parameter(torch.randn(2, INPUTS))
    torch.cat([fp8_weight(), trained]).sum().backward()
    assert trained.grad is not None


# Operators


@pytest.mark.parametrize("shape", [(INPUTS,), (2, 3, INPUTS)], ids=["one vector", "batch"])
def test_gradients_of_input_and_bias_are_right(shape: tuple[int, ...]) -> None:
    weight = fp8_weight(dtype=torch.float64, scaled=False)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(OUTPUTS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, bias: F.linear(x, weight, bias), (x, bias))
    assert torch.autograd.gradgradcheck(lambda x: F.linear(x, weight), (x,))


def test_what_is_made_in_inference_mode_has_gradients_later() -> None:
    with torch.inference_mode():
        weight = fp8_weight()
        part = weight[:3]
    x = torch.ones(1, INPUTS, requires_grad=True)
    F.linear(x, part).sum().backward()
    torch.testing.assert_close(x.grad, part.plain().sum(0, keepdim=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize("bias_dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_products_have_the_type_of_their_input(dtype: torch.dtype, bias_dtype: torch.dtype) -> None:
    weight, x = fp8_weight(dtype=torch.bfloat16), torch.randn(3, INPUTS)
    bias = torch.randn(OUTPUTS).to(bias_dtype)
    product = F.linear(x.to(dtype), weight, bias)
    expected = F.linear(x, weight.stored.dequantised(torch.float32), bias.float())
    assert product.dtype == dtype
    torch.testing.assert_close(product.float(), expected, rtol=0.02, atol=0.05)


def test_autocast_counts_for_stored_weights_as_for_plain_ones() -> None:
    layer, x = (
        with_weight(nn.Linear(INPUTS, OUTPUTS), fp8_weight()),
        torch.randn(3, INPUTS, requires_grad=True),
    )
    with torch.autocast("cpu", torch.bfloat16):
        product = layer(x)
    product.float().sum().backward()
    assert product.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_convolutions_pad_in_every_way(mode: str, inference: bool) -> None:
    weight, x = fp8_weight(OUTPUTS, 2, 3, 3), torch.randn(1, 4, 7, 7)
    stored, plain = (
        with_weight(nn.Conv2d(4, OUTPUTS, 3, 2, padding=1, padding_mode=mode, groups=2, bias=False), numbers)
        for numbers in (weight, weight.plain())
    )
    with torch.inference_mode(inference):
        torch.testing.assert_close(stored(x), plain(x))


def test_convolutions_have_gradients() -> None:
    weight = fp8_weight(OUTPUTS, 4, 3, 3)
    stored, plain = (torch.ones(1, 4, 5, 5, requires_grad=True) for _ in range(2))
    F.conv2d(stored, weight, padding=1).sum().backward()
    F.conv2d(plain, weight.plain(), padding=1).sum().backward()
    torch.testing.assert_close(stored.grad, plain.grad)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("ids_dtype", [torch.int64, torch.int32], ids=str)
def test_an_embedding_gives_the_rows_asked_for(scaled: bool, ids_dtype: torch.dtype) -> None:
    weight, ids = fp8_weight(scaled=scaled), torch.tensor([[0, 2, 2], [5, 1, 0]], dtype=ids_dtype)
    layer = with_weight(nn.Embedding(OUTPUTS, INPUTS, padding_idx=2), weight)
    assert torch.equal(layer(ids), weight.plain()[ids])


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("number", [-1, OUTPUTS])
def test_a_row_that_is_not_there_is_an_error(number: int, scaled: bool) -> None:
    with pytest.raises(IndexError):
        F.embedding(torch.tensor([number]), fp8_weight(scaled=scaled))


def test_attention_of_torch_takes_a_stored_projection(inference: bool) -> None:
    attention = nn.MultiheadAttention(4, 2, batch_first=True).requires_grad_(False).eval()
    weight, x = fp8_weight(12, 4), torch.randn(1, 3, 4)
    with torch.inference_mode(inference):
        attention.in_proj_weight = nn.Parameter(weight.plain(), requires_grad=False)
        expected = attention(x, x, x)[0]
        attention.in_proj_weight = nn.Parameter(weight, requires_grad=False)
        torch.testing.assert_close(attention(x, x, x)[0], expected)


# Modules


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (nn.Module.half, torch.float16),
        (nn.Module.bfloat16, torch.bfloat16),
        (nn.Module.double, torch.float64),
        (lambda module: module.to(torch.bfloat16), torch.bfloat16),
        (lambda module: module.to("cpu", torch.float16), torch.float16),
    ],
    ids=["half", "bfloat16", "double", "to type", "to device and type"],
)
def test_a_converted_module_computes_in_another_type_with_the_same_weight(
    convert: Callable[[nn.Module], nn.Module], dtype: torch.dtype, inference: bool
) -> None:
    weight = fp8_weight()
    layer = with_weight(nn.Linear(INPUTS, OUTPUTS), weight)
    with torch.inference_mode(inference):
        convert(layer)
        assert layer(torch.ones(1, INPUTS, dtype=dtype)).dtype == dtype
    assert isinstance(layer.weight, WeightTensor)
    assert layer.weight.dtype == dtype
    assert layer.weight.stored.tensors[0] is weight.stored.tensors[0]


def test_a_moved_module_takes_the_stored_form_along(inference: bool) -> None:
    layer = with_weight(nn.Linear(INPUTS, OUTPUTS), fp8_weight())
    with torch.inference_mode(inference):
        layer.to("meta")
    assert isinstance(layer.weight, WeightTensor)
    assert layer.weight.stored.device.type == layer.weight.device.type == "meta"


def test_a_copied_module_shares_the_stored_form_and_is_converted_by_itself() -> None:
    layer = with_weight(nn.Linear(INPUTS, OUTPUTS), fp8_weight())
    copied = copy.deepcopy(layer).half()
    assert copied.weight.stored is layer.weight.stored
    assert isinstance(copied.weight, nn.Parameter)
    assert (layer.weight.dtype, copied.weight.dtype) == (torch.float32, torch.float16)


def test_a_state_dict_brings_stored_weights_into_stored_and_plain_layers() -> None:
    layer, x = with_weight(nn.Linear(INPUTS, OUTPUTS), fp8_weight()), torch.randn(2, INPUTS)
    stored, plain = nn.Linear(INPUTS, OUTPUTS), nn.Linear(INPUTS, OUTPUTS)
    stored.load_state_dict(layer.state_dict(), assign=True)
    plain.load_state_dict(layer.state_dict())
    assert is_stored(stored.weight)
    assert not is_stored(plain.weight)
    torch.testing.assert_close(stored(x), layer(x))
    torch.testing.assert_close(plain(x), layer(x))


def test_a_weight_is_saved_and_pickled_in_its_stored_form() -> None:
    weight, file = fp8_weight(), io.BytesIO()
    torch.save({"weight": weight}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=False)["weight"]
    half = WeightTensor(PlainWeight(torch.randn(3, 4).half()), torch.float32)  # torch pickles no fp8
    pickled = pickle.loads(pickle.dumps(half))
    assert torch.equal(saved.plain(), weight.plain())
    assert (saved.stored.kind, pickled.stored.kind) == ("float8_e4m3fn", "float16")
    assert torch.equal(pickled.plain(), half.plain())


@pytest.mark.parametrize(
    "write",
    [
        lambda weight: weight.add_(1),
        lambda weight: weight.zero_(),
        lambda weight: weight.copy_(torch.zeros(OUTPUTS, INPUTS)),
        lambda weight: weight.__setitem__(0, 1.0),
        lambda weight: setattr(weight, "data", torch.zeros(OUTPUTS, INPUTS)),
        lambda weight: torch.add(weight, 1, out=weight),
        nn.init.normal_,
    ],
    ids=["add_", "zero_", "copy_", "item", "data", "out", "init"],
)
def test_nothing_writes_to_a_stored_weight(write: Callable[[Tensor], object], inference: bool) -> None:
    weight = fp8_weight()
    numbers = weight.plain()
    with torch.inference_mode(inference), pytest.raises(TypeError, match="stored form"):
        write(weight)
    assert torch.equal(weight.plain(), numbers)


def test_threads_share_a_weight() -> None:
    weight, x = fp8_weight(200, 64), torch.randn(5, 64)
    expected = F.linear(x, weight)

    def same(_: int) -> bool:
        with torch.inference_mode():
            return torch.equal(torch.cat([F.linear(x, part) for part in weight.chunk(4)], -1), expected)

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(same, range(100)))


@pytest.mark.slow
def test_a_compiled_module_computes_with_stored_weights() -> None:
    layer, x = with_weight(nn.Linear(INPUTS, OUTPUTS), fp8_weight()), torch.randn(2, INPUTS)
    compiled = torch.compile(nn.Sequential(layer, nn.GELU()), backend="eager")
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x), F.gelu(layer(x)))
