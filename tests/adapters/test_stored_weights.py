"""Adapters on weights in stored forms: quantised, stacked, moved while they act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato_adapters import choice
from sfumato_adapters.on_the_fly import Branch, BranchStrengths
from sfumato_adapters.settings import AdapterSettings
from sfumato_networks.stored.placing import PlacedWeights, Slot, keep_placed
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.stacked import StackedWeight
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.stored.transfer import PlainTransfer
from sfumato_quant_bnb.four_bit import Nf4
from sfumato_quant_gguf.quantisers.quantise import quantise
from sfumato_quant_gguf.weight import GgufWeight

from .adapter_files import random
from .conftest import Workbench, load_flux
from .simple_changes import Product, normal, pieces_of, product, summed


def fp8(weight: Tensor, dtype: torch.dtype = torch.float32) -> WeightTensor:
    """The weight in fp8, with a scale for each output."""
    scale = weight.detach().flatten(1).abs().amax(1) / 448
    numbers = weight.detach() / scale.view(-1, *[1] * (weight.ndim - 1))
    return WeightTensor(PlainWeight(numbers.to(torch.float8_e4m3fn), scale), dtype)


def halves(weight: Tensor) -> WeightTensor:
    """Its first outputs as they are, the others in fp8."""
    middle = len(weight) // 2
    parts = [PlainWeight(weight.detach()[:middle].clone()), fp8(weight[middle:]).stored]
    return WeightTensor(StackedWeight(parts), weight.dtype)


def gguf(type_name: str) -> Callable[[Tensor], WeightTensor]:
    def made(weight: Tensor) -> WeightTensor:
        packed = quantise(weight.detach().float(), type_name)
        return WeightTensor(GgufWeight(packed, type_name, weight.shape), weight.dtype)

    return made


def nf4(weight: Tensor) -> WeightTensor:
    pytest.importorskip("bitsandbytes")
    found = Nf4().pack(weight.detach(), "cpu")
    assert isinstance(found, WeightTensor)
    return found


FORMS: Mapping[str, Callable[[Tensor], WeightTensor]] = {
    "fp8": fp8,
    "halves": halves,
    "Q8_0": gguf("Q8_0"),
    "Q4_0": gguf("Q4_0"),
    "NF4": nf4,
}


def frozen(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def linear_layers(bench: Workbench) -> dict[str, nn.Linear]:
    network = bench.model.networks["transformer"]
    return {path: module for path, module in network.named_modules() if isinstance(module, nn.Linear)}


def weights(bench: Workbench) -> dict[str, Tensor]:
    return {path: layer.weight for path, layer in linear_layers(bench).items()}


def has_branches(bench: Workbench) -> bool:
    return any("forward" in vars(layer) for layer in linear_layers(bench).values())


@pytest.fixture
def stored(workbench: Workbench) -> Workbench:
    """A Flux whose transformer's linear layers are in fp8."""
    for layer in linear_layers(workbench).values():
        layer.weight = frozen(fp8(layer.weight))
    return workbench


@pytest.fixture
def plain(stored: Workbench, flux_folder: Path) -> Workbench:
    """The same with the same numbers as plain ones, and all merged."""
    bench = Workbench(stored.folder, load_flux(flux_folder), settings=AdapterSettings(how="merge"))
    for path, layer in linear_layers(bench).items():
        numbers = weights(stored)[path]
        assert isinstance(numbers, WeightTensor)
        layer.weight = frozen(numbers.plain())
    return bench


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "changes",
    [
        [product(20, 64), product(20, 64, rank=5, seed=2)],
        [product(6, 64, rows=(4, 10)), product(5, 64, seed=2, rows=(12, 17))],
    ],
    ids=["two", "rows of a fused layer"],
)
@pytest.mark.parametrize("tokens", [1, 20])
@torch.no_grad()
def test_a_linear_layer_gives_what_its_merged_weight_would(
    form: str, changes: list[Product], tokens: int
) -> None:
    layer, x, strengths = nn.Linear(64, 20), normal(2, tokens, 64, seed=9), [0.8, -0.5]
    layer.weight = frozen(FORMS[form](layer.weight))
    assert isinstance(layer.weight, WeightTensor)
    expected = nn.functional.linear(
        x.double(), summed(layer.weight.plain(), changes, strengths), layer.bias.double()
    )
    branch = Branch(layer, pieces_of(*changes), torch.float32)
    BranchStrengths([branch]).set(strengths)
    branch.attach_if_any(strengths)
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_a_convolution_gives_what_its_merged_weight_would(form: str) -> None:
    layer, x, change = nn.Conv2d(32, 6, 3, padding=1), normal(2, 32, 8, 8, seed=9), product(6, 288)
    layer.weight = frozen(FORMS[form](layer.weight))
    assert isinstance(layer.weight, WeightTensor)
    merged = summed(layer.weight.plain(), [change], [0.7])
    expected = nn.functional.conv2d(x.double(), merged, layer.bias.double(), padding=1)
    branch = Branch(layer, pieces_of(change), torch.float32)
    BranchStrengths([branch]).set([0.7])
    branch.attach_if_any([0.7])
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_several_loras_draw_what_they_do_merged_into_the_same_numbers(
    stored: Workbench, plain: Workbench
) -> None:
    for name, rank in (("one", 2), ("two", 4)):
        stored.write(name, rank=rank)
    torch.testing.assert_close(stored.velocity(), plain.velocity())
    before = stored.velocity()
    for bench in (stored, plain):
        bench.apply("one:0.8", "two:-0.4")
    assert not torch.allclose(stored.velocity(), before, atol=1e-3)
    torch.testing.assert_close(stored.velocity(), plain.velocity(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["auto", "merge", "on_the_fly"])
def test_products_leave_stored_weights_where_they_are(stored: Workbench, how: str) -> None:
    stored.settings = AdapterSettings(how=how)
    stored.write("style", parts=["transformer"])
    before = weights(stored)
    for _ in range(2):
        assert stored.apply("style").notes == []
        assert has_branches(stored)
        assert all(weight is before[path] for path, weight in weights(stored).items())
        stored.apply()
        assert not has_branches(stored)


def test_the_second_picture_is_like_the_first(stored: Workbench) -> None:
    stored.write("style")
    plain = stored.velocity()
    applied = stored.apply("style:0.5")
    first = stored.velocity()
    applied.put_in_force()
    assert stored.velocity().equal(first)
    stored.apply()
    assert stored.velocity().equal(plain)
    stored.apply("style:0.5")
    assert stored.velocity().equal(first)


def test_strengths_over_the_steps_are_in_force_step_by_step(stored: Workbench) -> None:
    stored.write("style", parts=["transformer"])
    constant = []
    for strength in (0.0, 0.5, 1.0):
        stored.apply(f"style:{strength}")
        constant.append(stored.velocity())
    applied = stored.apply("style:0@0,1@1")
    for step, expected in enumerate(constant):
        applied.at_step(step, 3)
        torch.testing.assert_close(stored.velocity(), expected, rtol=1e-5, atol=1e-5)


def test_a_lora_goes_on_acting_when_weights_change_their_form_underneath(stored: Workbench) -> None:
    stored.write("style", parts=["transformer"])
    applied = stored.apply("style")
    expected = stored.velocity()
    for layer in linear_layers(stored).values():
        assert isinstance(layer.weight, WeightTensor)
        layer.weight = frozen(layer.weight.plain())
    dense = weights(stored)
    assert has_branches(stored)
    torch.testing.assert_close(stored.velocity(), expected, rtol=1e-5, atol=1e-5)
    for again in (applied.put_in_force, lambda: stored.apply("style")):
        again()
        torch.testing.assert_close(stored.velocity(), expected, rtol=1e-4, atol=1e-4)
    stored.apply()
    assert all(weight is dense[path] for path, weight in weights(stored).items())


def write_loha(bench: Workbench, name: str = "loha", layer: str = "img_in") -> Callable[[Tensor], Tensor]:
    """A file for one layer that is no low-rank product; what it makes of the layer's weight."""
    stem = f"lora_unet_{layer}"
    tensors = {f"{stem}.hada_{slot}": random(name + slot, 3, 64) for slot in ("w1_b", "w2_b")}
    tensors |= {f"{stem}.hada_{slot}": random(name + slot, 64, 3) for slot in ("w1_a", "w2_a")}
    bench.save(name, tensors)
    first, second = (tensors[f"{stem}.hada_w{n}_a"] @ tensors[f"{stem}.hada_w{n}_b"] for n in (1, 2))
    return lambda weight: weight + first * second


def test_what_is_no_product_is_merged_into_plain_numbers_and_the_user_is_told(stored: Workbench) -> None:
    changed = write_loha(stored)
    layer = stored.model.networks["transformer"].img_in
    original = layer.weight
    (note,) = stored.apply("loha").notes
    assert "1 layer" in note
    assert "loha" in note
    assert type(layer.weight) is nn.Parameter
    torch.testing.assert_close(layer.weight, changed(original.plain()))
    assert stored.apply().notes == []
    assert layer.weight is original


def test_what_is_no_product_follows_the_steps(stored: Workbench) -> None:
    write_loha(stored)
    layer = stored.model.networks["transformer"].img_in
    clean = layer.weight.plain()
    applied = stored.apply("loha")
    full = layer.weight - clean
    applied = stored.apply("loha:0@0,1@1")
    for step, strength in enumerate((0.0, 0.5, 1.0)):
        applied.at_step(step, 3)
        numbers = layer.weight.plain() if isinstance(layer.weight, WeightTensor) else layer.weight
        torch.testing.assert_close(numbers, clean + strength * full)


def test_the_same_set_gives_the_same_bits_whatever_came_before(stored: Workbench) -> None:
    write_loha(stored)
    stored.write("style", parts=["transformer"])
    sets = (("loha",), ("style",), ("loha:0.5", "style:0.5"), ())
    first = {}
    for chosen in sets:
        stored.apply(*chosen)
        first[chosen] = stored.velocity()
    for one in sets:
        for other in sets:
            stored.apply(*other)
            stored.apply(*one)
            assert stored.velocity().equal(first[one]), (other, one)


def test_without_room_for_plain_numbers_it_is_refused_and_nothing_changes(
    stored: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_loha(stored)
    before, drawn = weights(stored), stored.velocity()
    with monkeypatch.context() as patch:
        patch.setattr(choice, "SHARE_OF_FREE_MEMORY", 0.0)
        with pytest.raises(BadInput, match=r"'img_in'.*quantised.*not free"):
            stored.apply("loha")
    assert all(weight is before[path] for path, weight in weights(stored).items())
    assert stored.velocity().equal(drawn)
    stored.apply("loha")
    assert not stored.velocity().equal(drawn)


def test_once_released_a_model_keeps_no_copies_and_takes_weights_of_another_form(stored: Workbench) -> None:
    write_loha(stored)
    stored.write("style", parts=["transformer"])
    applied = stored.apply("loha", "style")
    expected, before = stored.velocity(), weights(stored)
    stored.kind.release(stored.model)
    assert not has_branches(stored)
    assert all(isinstance(weight, WeightTensor) for weight in weights(stored).values())
    for path, layer in linear_layers(stored).items():
        layer.weight = frozen(before[path].plain() if path != "img_in" else weights(stored)[path].plain())
    moved = weights(stored)
    applied.put_in_force()
    torch.testing.assert_close(stored.velocity(), expected, rtol=1e-4, atol=1e-4)
    stored.kind.release(stored.model)
    assert all(weight is moved[path] for path, weight in weights(stored).items())


def test_where_weights_are_streamed_nothing_is_copied(workbench: Workbench) -> None:
    network = workbench.model.networks["transformer"]
    slots = [
        Slot(layer, "weight", layer.weight, torch.float32) for layer in linear_layers(workbench).values()
    ]
    placed = PlacedWeights(slots, "cpu")
    placed.through(PlainTransfer("cpu", copies=True), own_memory=True)
    keep_placed(network, placed)
    workbench.write("style", parts=["transformer"])
    workbench.settings = AdapterSettings(how="merge")
    workbench.apply("style")
    merged = workbench.velocity()
    workbench.kind.release(workbench.model)
    placed.place(placed.total // 2)
    before = weights(workbench)
    assert {type(weight) for weight in before.values()} == {WeightTensor, nn.Parameter}
    workbench.apply("style")
    assert all(weight is before[path] for path, weight in weights(workbench).items())
    torch.testing.assert_close(workbench.velocity(), merged, rtol=1e-4, atol=1e-4)
