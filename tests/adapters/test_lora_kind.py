"""LoRAs as prompts name them, on a tiny Flux."""

from __future__ import annotations

import gc
import hashlib
import weakref
from itertools import product as combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.errors import BadInput, CheckpointError, UnknownName
from sfumato_adapters import choice
from sfumato_adapters.files import LoraFiles
from sfumato_adapters.settings import AdapterSettings

from ..tiny_models import library_of
from .adapter_files import random
from .conftest import Workbench, load_flux, use_of


def states(bench: Workbench) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": tensor
        for part, network in bench.model.networks.items()
        for name, tensor in network.state_dict(keep_vars=True).items()
    }


def assert_as_loaded(bench: Workbench, before: dict[str, torch.Tensor]) -> None:
    after = states(bench)
    assert all(after[name] is tensor for name, tensor in before.items())
    modules = (m for network in bench.model.networks.values() for m in network.modules())
    assert not any("forward" in vars(module) for module in modules)


@pytest.mark.parametrize("how", ["merge", "on_the_fly"])
def test_a_lora_changes_the_picture_and_without_it_the_model_is_as_loaded(
    workbench: Workbench, how: str
) -> None:
    workbench.settings = AdapterSettings(how=how)
    workbench.write("style")
    before, plain = states(workbench), workbench.velocity()
    workbench.apply("style")
    assert not torch.allclose(workbench.velocity(), plain, atol=1e-3)
    workbench.apply()
    assert_as_loaded(workbench, before)
    assert workbench.velocity().equal(plain)


def test_both_ways_to_apply_give_the_same_picture(workbench: Workbench) -> None:
    for name, rank in (("one", 2), ("two", 4)):
        workbench.write(name, rank=rank)
    found = []
    for how in ("merge", "on_the_fly"):
        workbench.settings = AdapterSettings(how=how)
        workbench.apply("one:0.8", "two:-0.4")
        found += [workbench.velocity(), workbench.prompt().vector]
    torch.testing.assert_close(found[0], found[2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], found[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["merge", "on_the_fly"])
def test_a_then_b_then_a_gives_a_again_to_the_bit(workbench: Workbench, how: str) -> None:
    workbench.settings = AdapterSettings(how=how)
    for name in ("a", "b"):
        workbench.write(name, rank=3)
    sets = (("a:0.7",), ("b:1", "a:0.2"), ("a:0.3:0.9",), ())
    first = {}
    for chosen in sets:
        workbench.apply(*chosen)
        first[chosen] = workbench.velocity(), workbench.prompt().vector
    for one, other in combinations(sets, sets):
        for chosen in (other, one):
            workbench.apply(*chosen)
            assert workbench.velocity().equal(first[chosen][0])
            assert workbench.prompt().vector.equal(first[chosen][1])


def test_text_encoders_and_the_network_that_draws_have_strengths_of_their_own(workbench: Workbench) -> None:
    workbench.write("style")
    plain, prompt = workbench.velocity(), workbench.prompt().vector
    workbench.apply("style:0:1")
    assert workbench.prompt().vector.equal(prompt)
    assert not workbench.velocity().equal(plain)
    workbench.apply("style:1:0")
    assert not workbench.prompt().vector.equal(prompt)
    assert workbench.velocity().equal(plain)


def test_the_identity_of_text_speaks_of_text_encoders_alone(workbench: Workbench) -> None:
    workbench.write("both")
    workbench.write("drawing", parts=["transformer"])

    def identity(*tags: str) -> object:
        return workbench.apply(*tags).text_identity

    assert identity() is None
    assert identity("drawing") is None
    assert identity("both:0:1") is None
    assert identity("both:0.5:1") == identity("both:0.5:0.2", "drawing:3") != identity("both:0.6")


def test_strength_scales_the_change(workbench: Workbench) -> None:
    workbench.write("style", parts=["transformer"], wanted=lambda path: path == "final_layer.linear")
    plain = workbench.velocity()
    changes = []
    for strength in ("0.5", "1"):
        workbench.apply(f"style:{strength}")
        changes.append(workbench.velocity() - plain)
    torch.testing.assert_close(2 * changes[0], changes[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("how", ["auto", "merge"])
def test_strengths_over_the_steps_are_in_force_step_by_step(workbench: Workbench, how: str) -> None:
    workbench.settings = AdapterSettings(how=how)
    workbench.write("style", parts=["transformer"])
    constant = {}
    for strength in (0.0, 0.5, 1.0):
        workbench.apply(f"style:{strength}")
        constant[strength] = workbench.velocity()
    applied = workbench.apply("style:0@0,1@1:stop=4")
    assert applied.changes_over_steps
    for step, strength in enumerate((0.0, 0.25, 0.5, 0.75, 0.0)):
        applied.at_step(step, 5)
        if strength in constant:
            torch.testing.assert_close(workbench.velocity(), constant[strength], rtol=1e-4, atol=1e-4)
    applied.at_step(4, 5)
    assert workbench.velocity().equal(constant[0.0])


def test_block_weights_reach_the_layers_of_their_blocks(workbench: Workbench) -> None:
    workbench.write("style", parts=["transformer"])
    names = ["CLIP", "T5", "IN", "D00", "S00", "S01", "OUT"]
    weights = ",".join("1" if name == "S00" else "0" for name in names)
    before = states(workbench)
    workbench.apply(f"style:1:lbw={weights}")
    changed = {name for name, tensor in states(workbench).items() if before[name] is not tensor}
    outside = {"transformer.time_in", "transformer.vector_in"}
    assert {".".join(name.split(".")[:3]) for name in changed} == {"transformer.single_blocks.0"}, outside


def test_fewer_ranks_change_less(workbench: Workbench) -> None:
    workbench.write("style", parts=["transformer"], rank=4)
    plain = workbench.velocity()
    sizes = []
    for ranks in (1, 2, 4, 99):
        workbench.apply(f"style:0.3:dyn={ranks}")
        sizes.append(float((workbench.velocity() - plain).norm()))
    assert sizes[0] != sizes[1] != sizes[2]
    assert sizes[2] == sizes[3]


def test_a_file_is_found_by_name_ending_folder_case_and_by_what_it_was_trained_as(
    workbench: Workbench,
) -> None:
    path = workbench.write("Style v1.5", folder="loras/people", metadata={"ss_output_name": "painter"})
    for name in (
        "Style v1.5",
        "Style v1.5.safetensors",
        "people/Style v1.5",
        "people\\style v1.5",
        "painter",
    ):
        applied = workbench.kind.apply(workbench.model, [use_of(name)], workbench.context)
        assert applied.files == {name: path}
        assert applied.reports[0].name == name


def test_an_unknown_name_offers_the_nearest(workbench: Workbench) -> None:
    workbench.write("watercolour")
    with pytest.raises(UnknownName, match="Did you mean watercolour"):
        workbench.apply("watercolor")


def test_a_name_in_several_folders_is_told_and_the_outermost_taken(workbench: Workbench) -> None:
    inner = workbench.write("style", folder="loras/inner")
    outer = workbench.write("style")
    applied = workbench.apply("style")
    assert applied.files == {"style": outer}
    assert any("names 2 files" in note and "'inner/style'" in note for note in applied.notes)
    assert workbench.apply("inner/style").files == {"inner/style": inner}


def test_files_that_were_trained_under_one_name_are_told_apart_by_their_own(workbench: Workbench) -> None:
    for name in ("first", "second"):
        workbench.write(name, metadata={"ss_output_name": "Style"})
    applied = workbench.apply("style")
    (note,) = applied.notes
    offered = note.split("meant by '")[1].split("'")[0]
    assert {offered, applied.files["style"].stem} == {"first", "second"}


def test_how_deep_a_model_folder_lies_does_not_make_its_files_inner_ones(workbench: Workbench) -> None:
    deep = workbench.folder / "deep" / "er"
    outer = workbench.write("style", folder="deep/er/loras")
    inner = workbench.write("style", folder="loras/inner")
    found = LoraFiles().find(["style"], library_of(workbench.folder, deep))["style"]
    assert (found.path, found.others) == (outer, (inner,))


def test_tensors_that_find_no_place_are_told(workbench: Workbench) -> None:
    path = workbench.write("style", parts=["transformer"])
    from safetensors.torch import load_file

    tensors = load_file(path)
    extra = {"lora_unet_double_blocks_7_img_attn_qkv.lora_down.weight": torch.zeros(2, 64)}
    extra["lora_unet_double_blocks_7_img_attn_qkv.lora_up.weight"] = torch.zeros(192, 2)
    workbench.save("style", tensors | extra)
    applied = workbench.apply("style")
    total = len(tensors) + 2
    assert (
        f"style.safetensors: 2 of {total} tensors were not used, the first is {min(extra)}." in applied.notes
    )
    assert not applied.reports[0].is_full


def test_hashes_are_those_of_a1111(workbench: Workbench) -> None:
    stored = workbench.write("stored", metadata={"sshs_model_hash": "0123456789abcdef" * 4})
    plain, empty = workbench.write("plain"), workbench.write("empty", metadata={"sshs_model_hash": ""})

    def of_tensors(path: Path) -> str:
        content = path.read_bytes()
        return hashlib.sha256(content[8 + int.from_bytes(content[:8], "little") :]).hexdigest()[:12]

    assert stored.exists()
    found = workbench.apply("stored:0.1", "plain:0.1", "empty:0.1").infotext
    expected = f"stored: 0123456789ab, plain: {of_tensors(plain)}, empty: {of_tensors(empty)}"
    assert found == {"Lora hashes": expected}
    assert workbench.apply().infotext == {}


def test_a_bad_second_file_leaves_the_first_set_in_force(workbench: Workbench) -> None:
    workbench.write("good")
    workbench.save("bad", {"nothing.weight": torch.zeros(3)})
    workbench.apply("good")
    picture = workbench.velocity()
    with pytest.raises(CheckpointError, match="bad"):
        workbench.apply("good", "bad")
    assert workbench.velocity().equal(picture)


def test_a_bad_tag_is_told_before_anything_changes(workbench: Workbench) -> None:
    workbench.write("good")
    before = states(workbench)
    with pytest.raises(BadInput, match="<lora:good:much>"):
        workbench.apply("good:much")
    assert_as_loaded(workbench, before)


def test_a_file_written_anew_is_read_anew(workbench: Workbench) -> None:
    workbench.write("style", rank=2)
    workbench.apply("style")
    first = workbench.velocity()
    (workbench.folder / "loras" / "style.safetensors").unlink()
    workbench.write("style", rank=3)
    workbench.apply("style")
    assert not workbench.velocity().equal(first)


def test_a_file_deleted_after_its_first_use_is_told(workbench: Workbench) -> None:
    workbench.write("style").unlink()
    with pytest.raises(UnknownName):
        workbench.apply("style")


def test_the_same_lora_twice_counts_twice(workbench: Workbench) -> None:
    workbench.write("style")
    workbench.apply("style:0.5", "style:0.25")
    twice = workbench.velocity()
    workbench.apply("style:0.75")
    torch.testing.assert_close(workbench.velocity(), twice, rtol=1e-4, atol=1e-4)


def test_merged_weights_are_kept_for_later_within_the_limit(workbench: Workbench) -> None:
    workbench.write("style", parts=["transformer"])
    network = workbench.model.networks["transformer"]

    def merged_again(megabytes: int) -> bool:
        workbench.settings = AdapterSettings(how="merge", keep_megabytes=megabytes)
        workbench.apply("style")
        first = network.img_in.weight
        workbench.apply()
        workbench.apply("style")
        return network.img_in.weight is first

    assert merged_again(100)
    assert not merged_again(0)


def test_layers_that_a_new_set_leaves_alone_are_not_computed_again(workbench: Workbench) -> None:
    workbench.write("outer", parts=["transformer"], wanted=lambda path: path == "img_in")
    workbench.write("inner", parts=["transformer"], wanted=lambda path: path == "final_layer.linear")
    network = workbench.model.networks["transformer"]
    workbench.apply("outer", "inner")
    untouched, changed = network.img_in.weight, network.final_layer.linear.weight
    for weight in (untouched, changed):
        weight[0, 0] = 77
    workbench.apply("outer", "inner:0.3")
    assert network.img_in.weight is untouched
    assert untouched[0, 0] == 77
    assert network.final_layer.linear.weight is changed
    assert changed[0, 0] != 77


@pytest.mark.parametrize("how", ["merge", "on_the_fly"])
def test_a_model_goes_when_nobody_holds_it_though_adapters_act_on_it(
    workbench: Workbench, flux_folder: Path, how: str
) -> None:
    workbench.settings = AdapterSettings(how=how)
    workbench.write("style")
    model = load_flux(flux_folder)
    workbench.kind.apply(model, [use_of("style")], workbench.context)
    gone = weakref.ref(model.networks["transformer"])
    gc.collect()
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_two_models_have_adapters_of_their_own(workbench: Workbench, flux_folder: Path) -> None:
    workbench.write("style")
    plain = workbench.velocity()
    other = Workbench(workbench.folder, load_flux(flux_folder), workbench.kind)
    other.apply("style")
    assert workbench.velocity().equal(plain)
    assert not other.velocity().equal(plain)


def test_weights_that_are_no_plain_numbers_are_never_touched(workbench: Workbench) -> None:
    workbench.settings = AdapterSettings(how="merge")
    workbench.write("style", parts=["transformer"], wanted=lambda path: path == "img_in")
    layer = workbench.model.networks["transformer"].img_in
    layer.weight = nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
    quantised = layer.weight
    workbench.apply("style")
    assert layer.weight is quantised
    assert "forward" in vars(layer)


def test_applying_in_inference_mode_and_out_of_it_can_take_turns(workbench: Workbench) -> None:
    workbench.write("style")
    with torch.inference_mode():
        workbench.apply("style:0@0,1@1").at_step(1, 3)
    applied = workbench.apply("style:1@0,0@1")
    with torch.inference_mode():
        applied.at_step(1, 3)
    applied.at_step(2, 3)
    workbench.apply("style")
    assert workbench.velocity().isfinite().all()


def test_what_is_no_product_is_merged_whatever_is_asked_and_follows_the_steps(workbench: Workbench) -> None:
    stem, layer = "lora_unet_img_in", workbench.model.networks["transformer"].img_in
    tensors = {f"{stem}.hada_{name}": random(name, 3, 64) for name in ("w1_b", "w2_b")}
    tensors |= {f"{stem}.hada_{name}": random(name, 64, 3) for name in ("w1_a", "w2_a")}
    workbench.save("loha", tensors)
    original, clean = layer.weight, layer.weight.clone()
    first, second = (tensors[f"{stem}.hada_w{n}_a"] @ tensors[f"{stem}.hada_w{n}_b"] for n in (1, 2))
    workbench.settings = AdapterSettings(how="on_the_fly")
    applied = workbench.apply("loha:0@0,1@1")
    for step, strength in enumerate((0.0, 0.5, 1.0)):
        applied.at_step(step, 3)
        torch.testing.assert_close(layer.weight, clean + strength * first * second)
    workbench.apply()
    assert layer.weight is original
    assert original.equal(clean)


def test_where_copies_do_not_fit_into_memory_nothing_is_merged(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.write("style", parts=["transformer"])
    workbench.apply("style:0.5")
    expected = workbench.velocity()
    workbench.settings = AdapterSettings(keep_megabytes=0)
    workbench.apply()
    before = states(workbench)
    monkeypatch.setattr(choice, "SHARE_OF_FREE_MEMORY", 0.0)
    workbench.apply("style:0.5")
    assert all(before[name] is tensor for name, tensor in states(workbench).items())
    torch.testing.assert_close(workbench.velocity(), expected, rtol=1e-4, atol=1e-4)


def test_no_machine_has_room_for_everything() -> None:
    assert choice.copies_fit(1, torch.device("cpu"))
    assert not choice.copies_fit(10**18, torch.device("cpu"))


def test_an_error_midway_leaves_the_model_as_loaded(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.write("style", parts=["transformer"])
    before = states(workbench)
    count = iter(range(3))

    def addmm(*args: Any, **options: Any) -> torch.Tensor:
        if next(count, None) is None:
            raise MemoryError("no room")
        return plain(*args, **options)

    plain = torch.addmm
    with monkeypatch.context() as patch:
        patch.setattr(torch, "addmm", addmm)
        with pytest.raises(MemoryError):
            workbench.apply("style")
    assert_as_loaded(workbench, before)
    workbench.apply("style")
    assert states(workbench)["transformer.img_in.weight"] is not before["transformer.img_in.weight"]


def test_what_is_no_product_is_refused_where_weights_are_quantised(workbench: Workbench) -> None:
    stem, layer = "lora_unet_img_in", workbench.model.networks["transformer"].img_in
    workbench.save("full", {f"{stem}.diff": random(stem, 64, 64), f"{stem}.diff_b": random(stem, 64)})
    layer.weight = nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
    quantised = layer.weight
    with pytest.raises(BadInput, match=r"'img_in'.*quantised"):
        workbench.apply("full")
    assert layer.weight is quantised


def test_a_tag_without_a_name_is_refused_though_files_have_no_alias(workbench: Workbench) -> None:
    workbench.write("style")
    with pytest.raises(BadInput, match="names no file"):
        workbench.apply("")


def test_a_file_deleted_while_the_picture_is_drawn_costs_only_its_hash(workbench: Workbench) -> None:
    path = workbench.write("style")
    applied = workbench.apply("style")
    path.unlink()
    assert workbench.velocity().isfinite().all()
    assert applied.infotext == {}
