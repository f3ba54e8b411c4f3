"""What a LoRA's tag asks for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sfumato.adapters import AdapterUse
from sfumato.errors import BadInput, SfumatoError
from sfumato_adapters.block_weights import (
    PRESETS,
    UNET_LISTS,
    BlockFactors,
    BlockWeights,
    block_of,
    parse_block_weights,
)
from sfumato_adapters.strength import Strength, Window, parse_strength
from sfumato_adapters.tags import OPTIONS, LoraTag, read_tag

numbers = st.floats(-1000, 1000).map(lambda value: round(value, 6))


def tag(*arguments: str, hires: bool = False, **options: str) -> LoraTag:
    written = ":".join(("name", *arguments, *(f"{key}={value}" for key, value in options.items())))
    return read_tag(AdapterUse("lora", "name", arguments, options, f"<lora:{written}>", hires))


def strengths_of(found: LoraTag) -> tuple[float, float]:
    return found.text_strength, found.at(0, 20)


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((), {}, (1, 1)),
        (("0.8",), {}, (0.8, 0.8)),
        (("1", "0.5"), {}, (1, 0.5)),
        ((), {"te": "0.3"}, (0.3, 0.3)),
        ((), {"unet": "0.3"}, (1, 0.3)),
        (("0.8",), {"te": "0", "unet": "-1"}, (0, -1)),
        (("0.8", "0.2"), {"te": "0.5"}, (0.5, 0.2)),
    ],
)
def test_strengths_stand_as_in_a1111(
    arguments: tuple[str, ...], options: dict[str, str], expected: tuple[float, float]
) -> None:
    assert strengths_of(tag(*arguments, **options)) == expected


def test_the_rank_is_the_third_argument_or_named() -> None:
    assert tag("1", "1", "8").rank == 8
    assert tag(dyn="16").rank == 16
    assert tag("1").rank is None


def test_block_weights_may_take_the_place_of_the_second_strength() -> None:
    weights = ",".join(["1"] + ["0.5"] * 16)
    for found in (tag("0.9", weights), tag("0.9", lbw=weights), tag("0.9", w=weights)):
        assert found.blocks == BlockWeights(numbers=(1.0,) + (0.5,) * 16)
        assert strengths_of(found) == (0.9, 0.9)
    assert tag("1", "outall").blocks == BlockWeights(preset="OUTALL")


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ({"start": "3"}, range(3, 10)),
        ({"stop": "4"}, range(4)),
        ({"step": "2-5"}, range(2, 5)),
        ({"step": "0-4"}, range(4)),
        ({"stop": "0.5"}, range(5)),
        ({"start": "0.25", "stop": "0.75"}, range(2, 8)),
        ({"step": "5-"}, range(5, 10)),
    ],
)
def test_start_and_stop_are_steps_done_or_shares_of_them(options: dict[str, str], on: range) -> None:
    found = tag("0.7", **options)
    assert [step for step in range(10) if found.at(step, 10)] == list(on)
    assert found.text_strength == 0.7, "the prompt is read before the first step"
    assert found.changes_over_steps


def test_strengths_over_the_steps_run_straight_between_their_points() -> None:
    found = tag("0@0,1@0.5")
    assert [found.at(step, 5) for step in range(5)] == [0, 0.5, 1, 1, 1]
    assert found.text_strength == 0
    assert [tag("1@2;0@4").at(step, 8) for step in range(6)] == [1, 1, 1, 0.5, 0, 0]


def test_one_strength_written_as_a_point_does_not_change() -> None:
    assert not tag("0.5@0").changes_over_steps
    assert not tag("0.5").changes_over_steps


def test_the_second_pass_may_have_strengths_of_its_own() -> None:
    options = {"hr": "0.2", "hrunet": "0.6"}
    assert strengths_of(tag("0.9", **options)) == (0.9, 0.9)
    assert strengths_of(tag("0.9", hires=True, **options)) == (0.2, 0.6)
    assert strengths_of(tag("0.9", hires=True)) == (0.9, 0.9)


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (("much",), {}, "'much' is not a number"),
        (("",), {}, "not a number"),
        (("nan",), {}, "out of range"),
        (("1e9",), {}, "out of range"),
        (("1", "1", "8", "9"), {}, "one argument too many"),
        (("1", "1", "0"), {}, "out of range"),
        ((), {"dyn": "1.5"}, "no whole number"),
        ((), {"unit": "1"}, "the nearest is 'unet'"),
        ((), {"lbw": "OUTSIDE"}, "no block weights named 'OUTSIDE'"),
        ((), {"lbw": "1,R,0"}, "Random"),
        ((), {"step": "5"}, "has no end"),
        ((), {"start": "-1"}, "out of range"),
        (("1@0@1",), {}, "more than one place"),
        (("0,5",), {}, "two strengths for one place"),
        (("0@0.5,1@0.5",), {}, "two strengths for one place"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_tag(
    arguments: tuple[str, ...], options: dict[str, str], told: str
) -> None:
    with pytest.raises(BadInput) as error:
        tag(*arguments, **options)
    assert "<lora:name" in error.value.what
    assert told in error.value.why


@given(te=numbers, unet=numbers, rank=st.integers(1, 512))
def test_every_way_to_write_the_same_reads_the_same(te: float, unet: float, rank: int) -> None:
    placed = tag(repr(te), repr(unet), str(rank))
    assert tag(te=repr(te), unet=repr(unet), dyn=str(rank)) == placed
    assert tag(f"{te!r}@0", f" {unet!r} ", dyn=str(rank)).strength == placed.strength
    assert strengths_of(placed) == (te, unet)


@given(
    points=st.lists(st.tuples(st.floats(0, 1), numbers), min_size=2, max_size=5, unique_by=lambda p: p[0]),
    step=st.integers(0, 30),
    steps=st.integers(1, 30),
)
def test_a_strength_over_the_steps_stays_between_its_points(
    points: list[tuple[float, float]], step: int, steps: int
) -> None:
    found = parse_strength(",".join(f"{value!r}@{place!r}" for place, value in points))
    values = [value for _, value in points]
    slack = 1e-9 * max(map(abs, values), default=1)
    assert min(values) - slack <= found.at(step, steps) <= max(values) + slack


@given(st.text(max_size=30), st.sampled_from(OPTIONS))
def test_no_text_breaks_the_reading(text: str, option: str) -> None:
    for arguments, options in (((text,), {}), (("1", text), {}), ((), {option: text})):
        try:
            found = read_tag(AdapterUse("lora", "name", arguments, options))
        except SfumatoError:
            continue
        assert all(math.isfinite(value) for value in strengths_of(found))


def test_a_window_of_few_steps_holds_one_at_least() -> None:
    assert [Window(stop=0.01).holds(step, 10) for step in range(3)] == [True, False, False]
    assert Strength(((0.0, 1.0),)).at(0, 1) == 1


def test_blocks_are_those_of_the_original_layouts() -> None:
    assert block_of("unet", "input_blocks.4.1.proj_in") == "IN04"
    assert block_of("unet", "middle_block.1.proj_in") == "M00"
    assert block_of("unet", "model.output_blocks.11.1.proj_in") == "OUT11"
    assert block_of("unet", "time_embed.0") == ""
    assert block_of("clip_text", "text_model.encoder.layers.0.mlp.fc1") == "BASE"
    assert block_of("transformer", "double_blocks.3.img_attn.qkv", flux=True) == "D03"
    assert block_of("transformer", "single_blocks.12.linear1", flux=True) == "S12"
    assert block_of("transformer", "img_in", flux=True) == "IN"
    assert block_of("t5_encoder", "encoder.block.0", flux=True) == "T5"


def test_short_lists_leave_blocks_without_attention_at_0() -> None:
    factors = BlockFactors(parse_block_weights(",".join(["1"] * 17)), {"unet": nn.Linear(1, 1)}, "")
    assert factors.of("unet", "input_blocks.1.1.proj_in") == 1
    assert factors.of("unet", "input_blocks.3.0.op") == 0
    assert factors.of("unet", "out.2") == 1


@pytest.mark.parametrize("count", UNET_LISTS)
def test_each_list_gives_each_block_its_own_weight(count: int) -> None:
    given = BlockWeights(numbers=tuple(float(number) for number in range(1, count + 1)))
    factors = BlockFactors(given, {"unet": nn.Linear(1, 1)}, "")
    found = [factors.of("clip_text", "x")]
    for kind, blocks in (("input", 12), ("middle", 1), ("output", 12)):
        for number in range(blocks):
            name = "middle_block" if kind == "middle" else f"{kind}_blocks.{number}"
            found.append(factors.of("unet", f"{name}.0.x"))
    assert [value for value in found if value] == list(given.numbers)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_blocks_of_the_list_of_17(name: str) -> None:
    assert set(PRESETS[name]) <= set(UNET_LISTS[17])


def test_flux_has_a_weight_for_each_block_and_another_number_is_refused() -> None:
    network = nn.Module()
    for name in ("img_in", "final_layer"):
        network.add_module(name, nn.Linear(1, 1))
    network.double_blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    network.single_blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    networks = {"transformer": network}
    factors = BlockFactors(BlockWeights(numbers=tuple(map(float, range(9)))), networks, "")
    assert factors.of("transformer", "double_blocks.1.x") == 4
    assert factors.of("transformer", "single_blocks.2.x") == 7
    assert factors.of("transformer", "final_layer.linear") == 8
    with pytest.raises(BadInput, match=r"<lora:x>.*This model takes 9: CLIP, T5, IN, D00"):
        BlockFactors(BlockWeights(numbers=(1.0,) * 8), networks, "<lora:x>")
