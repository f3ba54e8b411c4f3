"""Which cells a grid has, before anything is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import BadInput
from sfumato.request import (
    SEED_LIMIT,
    GenerationRequest,
    GridRequest,
    PictureFolder,
    PromptList,
    PromptMatrix,
)
from sfumato_grids.journal import cell_key
from sfumato_grids.matrix import plan_matrix
from sfumato_grids.picture_folder import plan_pictures
from sfumato_grids.plan import Plan
from sfumato_grids.prompt_list import plan_prompts, read_line
from sfumato_grids.seeds import SeedSource
from sfumato_grids.xyz import plan_axes

from .conftest import apples, axis

SEEDS = SeedSource(1)


def axes(**fields: object) -> Plan:
    return plan_axes(GridRequest(**{"base": apples(), **fields}), SEEDS)


def requests(plan: Plan) -> list[GenerationRequest]:
    assert not plan.problems
    return [cell.request for cell in plan.cells]


def test_every_combination_is_a_cell_at_its_place() -> None:
    plan = axes(x=axis("steps", "1-3"), y=axis("Sampler", "Euler", "Heun"), z=axis("CFG Scale", "1", "2"))
    found = {cell.place: cell.request for cell in plan.cells}
    assert len(found) == 12
    assert (found[2, 1, 0].steps, found[2, 1, 0].sampler, found[2, 1, 0].cfg_scale) == (3, "Heun", 1)
    assert plan.columns == ("Steps: 1", "Steps: 2", "Steps: 3")
    assert (plan.rows, plan.sheets) == (("Euler", "Heun"), ("CFG Scale: 1", "CFG Scale: 2"))
    assert plan.fields == {
        "X Type": "Steps", "X Values": "1-3", "Y Type": "Sampler", "Y Values": "Euler,Heun",
    }  # fmt: skip
    assert plan.whole_fields == {"Z Type": "CFG Scale", "Z Values": "1,2"}


def test_search_and_replace_takes_both_prompts_and_refuses_what_is_nowhere() -> None:
    base = apples(prompt="a red apple", negative_prompt="red leaf")
    plan = axes(base=base, x=axis("Prompt S/R", "red", "blue"))
    assert [(r.prompt, r.negative_prompt) for r in requests(plan)] == [
        ("a red apple", "red leaf"),
        ("a blue apple", "blue leaf"),
    ]
    assert "'pear' is neither in the prompt" in axes(x=axis("prompt_replace", "pear", "fig")).problems[0]


def test_axes_of_lora_and_weight_act_on_the_same_tag() -> None:
    plan = axes(x=axis("lora", "", "blue"), y=axis("lora_weight", "0.5", "1"))
    assert [request.prompt for request in requests(plan)] == [
        "a red apple",
        "a red apple <lora:blue:0.5>",
        "a red apple",
        "a red apple <lora:blue:1>",
    ]
    turned = axes(y=axis("lora", "", "blue"), x=axis("lora_weight", "0.5", "1"))
    assert {request.prompt for request in requests(turned)} == {request.prompt for request in requests(plan)}


def test_a_section_comes_to_be_where_an_axis_needs_it() -> None:
    plan = axes(x=axis("Hires steps", "1-2"), y=axis("Refiner checkpoint", "None", "emoji"))
    first, *_, last = requests(plan)
    assert first.hires
    assert first.hires.steps == 1
    assert first.refiner is None
    assert last.refiner
    assert last.refiner.model == "emoji"


def test_denoising_is_that_of_the_hires_pass_where_there_is_one(tmp_path: Path) -> None:
    hires = axes(base=apples(hires={"steps": 2}), x=axis("Denoising", "0.25"))
    assert requests(hires)[0].hires.denoising_strength == 0.25  # type: ignore[union-attr]
    start = axes(base=apples(img2img={"image": tmp_path}), x=axis("Denoising", "0.25"))
    assert requests(start)[0].img2img.denoising_strength == 0.25  # type: ignore[union-attr]
    assert "img2img.image" in axes(x=axis("Denoising", "0.25")).problems[0]


def test_sizes_and_orders_are_axes() -> None:
    plan = axes(x=axis("Size", "64x32", "32 x 64"), y=axis("Prompt order", "red", "apple"))
    assert [(r.width, r.height, r.prompt) for r in requests(plan)] == [
        (64, 32, "a red apple"),
        (32, 64, "a red apple"),
        (64, 32, "a apple red"),
        (32, 64, "a apple red"),
    ]


def test_all_that_is_wrong_with_all_axes_is_told() -> None:
    plan = axes(x=axis("stps", "1"), y=axis("steps", "0", "2", "x"), z=axis("lora_weight", "much"))
    told = "; ".join(plan.problems)
    assert all(part in told for part in ("'stps'", "steps '0'", "steps 'x'", "lora_weight 'much'"))
    assert axes(x=axis("steps")).problems == ("steps: there are no values",)


def test_open_seeds_are_drawn_once_for_a_grid() -> None:
    base = apples(seed=-1)
    same = requests(axes(base=base, x=axis("steps", "1-3")))
    assert len({request.seed for request in same}) == 1
    assert 0 <= same[0].seed < SEED_LIMIT
    assert requests(axes(base=base, x=axis("steps", "1-3"))) == same
    other = plan_axes(GridRequest(base=base, x=axis("steps", "1-3")), SeedSource(2))
    assert other.cells[0].request.seed != same[0].seed


@pytest.mark.parametrize(
    ("fields", "offsets"),
    [
        ({"seeds": "next"}, [0, 1, 2, 3]),
        ({"x": axis("steps", "1-2", vary_seed=True)}, [0, 1, 0, 1]),
        ({"y": axis("CFG Scale", "1-2", vary_seed=True)}, [0, 0, 1, 1]),
        (
            {
                "x": axis("steps", "1-2", vary_seed=True),
                "y": axis("CFG Scale", "1-2", vary_seed=True),
            },
            [0, 1, 2, 3],
        ),
    ],
)
def test_seeds_count_up_where_that_is_asked_for(fields: dict[str, object], offsets: list[int]) -> None:
    plan = axes(**{"x": axis("steps", "1-2"), "y": axis("CFG Scale", "1-2"), **fields})
    assert [request.seed - 5 for request in requests(plan)] == offsets


def test_an_axis_of_seeds_draws_the_open_ones_and_tells_them() -> None:
    plan = axes(x=axis("Seed", "-1", "7"), y=axis("steps", "1-2"), seeds="next")
    first, second, third, fourth = requests(plan)
    assert first.seed == third.seed not in (-1, 7)
    assert second.seed == fourth.seed == 7
    assert plan.fields["Fixed X Values"] == f"{first.seed}, 7"


NAMES = ["steps", "Prompt S/R", "prompt_order", "lora", "lora_weight.x", "Size", "seed", "stages.a.b", "VAE"]
ANYTHING = st.text(max_size=12) | st.sampled_from(
    ["", "1-3", "1-3 [2]", "None", "red", "<lora:x", "a\0b", "~x"]
)


@settings(max_examples=150)
@given(st.sampled_from([*NAMES, *GenerationRequest.model_fields]) | st.text(max_size=10), st.lists(ANYTHING))
def test_whatever_an_axis_says_is_a_plan_or_is_told(field: str, values: list[str]) -> None:
    base = apples(prompt="a red <lora:x:1> apple", img2img={"image": "start.png"})
    try:
        plan = axes(base=base, x=axis(field, *values))
    except BadInput:
        return
    assert bool(plan.problems) or len(plan.cells) == len(plan.columns)
    assert all(cell_key(cell.request) for cell in plan.cells)


def test_a_grid_without_an_end_is_refused() -> None:
    with pytest.raises(BadInput, match="cells"):
        axes(x=axis("seed", "1-9999"), y=axis("steps", "1-999"))


def test_a_matrix_combines_its_parts_as_a1111_does() -> None:
    grid = GridRequest(base=apples(prompt="a cat|in a hat|, on a mat"), matrix=PromptMatrix())
    plan = plan_matrix(grid, PromptMatrix(), SEEDS)
    assert [(cell.place, cell.request.prompt) for cell in plan.cells] == [
        ((0, 0, 0), "a cat"),
        ((1, 0, 0), "a cat, in a hat"),
        ((0, 1, 0), "a cat,  on a mat"),
        ((1, 1, 0), "a cat, in a hat,  on a mat"),
    ]
    assert plan.columns == ("- in a hat", "+ in a hat")
    assert plan.rows == ("- , on a mat", "+ , on a mat")


def test_a_matrix_may_stand_at_the_start_with_spaces_and_in_the_negative_prompt() -> None:
    matrix = PromptMatrix(of="negative_prompt", at_start=True, separator="space")
    grid = GridRequest(base=apples(negative_prompt="x|y|z"), matrix=matrix)
    plan = plan_matrix(grid, matrix, SEEDS)
    assert [cell.request.negative_prompt for cell in plan.cells] == ["x", "y x", "z x", "y z x"]


@pytest.mark.parametrize(("prompt", "told"), [("a cat", "no parts"), ("|".join("a" * 30), "cells")])
def test_a_matrix_of_nothing_or_too_much_is_refused(prompt: str, told: str) -> None:
    matrix = PromptMatrix()
    with pytest.raises(BadInput, match=told):
        plan_matrix(GridRequest(base=apples(prompt=prompt), matrix=matrix), matrix, SEEDS)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("a cat -- or two", {"prompt": "a cat -- or two"}),
        (
            "--prompt a red cat --steps 20 --cfg_scale 7.5 --width 512",
            {"prompt": "a red cat", "steps": 20, "cfg_scale": 7.5, "width": 512},
        ),
        (
            '--prompt "a \\"b\\" c" --negative_prompt dull --sampler_name "DPM++ 2M" --n_iter 2 --seed -1',
            {
                "prompt": 'a "b" c', "negative_prompt": "dull", "sampler": "DPM++ 2M", "count": 2, "seed": -1,
            },
        ),
        ("--hires.scale 1.5 --tiling true", {"hires": {"scale": 1.5}, "tiling": True}),
        ("--sd_model x --subseed 3 --subseed_strength=0.5",
         {"model": "x", "variation_seed": 3, "variation_strength": 0.5}),
    ],
)  # fmt: skip
def test_lines_are_prompts_or_have_a1111s_options(line: str, values: dict[str, object]) -> None:
    assert read_line(line) == values


def prompts(tmp_path: Path, text: str, name: str = "p.txt", **fields: object) -> Plan:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8-sig")
    listed = PromptList(file=file, **{k: v for k, v in fields.items() if k == "position"})
    rest = {k: v for k, v in fields.items() if k != "position"}
    return plan_prompts(GridRequest(**{"base": apples(prompt=""), "prompts": listed, **rest}), listed, SEEDS)


def test_a_file_has_a_request_a_line(tmp_path: Path) -> None:
    plan = prompts(tmp_path, "# fruit\na pear\n\n--prompt a fig --steps 3 --seed 9\n", seeds="next")
    assert [(r.prompt, r.steps, r.seed) for r in requests(plan)] == [("a pear", 1, 5), ("a fig", 3, 9)]


@pytest.mark.parametrize(("position", "prompt"), [("start", "a pear, blurry"), ("end", ", blurry a pear")])
def test_prompts_of_lines_go_beside_the_common_one(tmp_path: Path, position: str, prompt: str) -> None:
    plan = prompts(tmp_path, "a pear", base=apples(prompt=", blurry"), position=position)
    assert requests(plan)[0].prompt == prompt.replace("pear, ", "pear , ")


def test_json_has_a_list_of_requests(tmp_path: Path) -> None:
    found = [{"prompt": "a pear", "hires": {"scale": 1.5}}, "a fig", {"prompt": "x", "stps": 3}]
    plan = prompts(tmp_path, json.dumps(found), "p.json", base=apples(prompt="", hires={"steps": 3}))
    first, second = (cell.request for cell in plan.cells)
    assert first.hires
    assert (first.hires.scale, first.hires.steps) == (1.5, 3)
    assert second.prompt == "a fig"
    assert plan.problems == ("request 3: stps: there is no such field",)


def test_all_wrong_lines_are_told_by_their_numbers(tmp_path: Path) -> None:
    plan = prompts(tmp_path, '--stps 3\na pear\n--steps 0\n--prompt "a\n--steps')
    assert [problem[:8] for problem in plan.problems] == ["line 1: ", "line 3: ", "line 4: ", "line 5: "]
    assert "steps" in plan.problems[0].lower()


@pytest.mark.parametrize(
    ("content", "name"), [(b"\xff\xfe", "p.txt"), (b"{}", "p.json"), (b"[1", "p.json"), (b"# x", "p.txt")]
)
def test_a_file_that_is_none_of_prompts_is_told(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    listed = PromptList(file=tmp_path / name)
    with pytest.raises(BadInput):
        plan_prompts(GridRequest(base=apples(), prompts=listed), listed, SEEDS)


def picture(path: Path, text: str = "", size: tuple[int, int] = (20, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = PngInfo()
    if text:
        chunks.add_text("parameters", text)
    Image.new("RGB", size, "red").save(path, pnginfo=chunks)
    return path


def folder_plan(tmp_path: Path, base: GenerationRequest | None = None, **fields: object) -> Plan:
    pictures = PictureFolder(folder=tmp_path / "in", **fields)
    grid = GridRequest(base=base or apples(), pictures=pictures)
    return plan_pictures(grid, pictures, tmp_path / "out", SEEDS)


def test_pictures_of_a_folder_are_taken_as_people_count(tmp_path: Path) -> None:
    for name in ("b10.png", "b2.png", "notes.txt", ".hidden.png"):
        picture(tmp_path / "in" / name) if name.endswith("png") else (tmp_path / "in" / name).write_text("x")
    plan = folder_plan(tmp_path)
    assert [cell.file_name for cell in plan.cells] == ["b2", "b10"]
    assert requests(plan)[0].img2img.image == tmp_path / "in" / "b2.png"  # type: ignore[union-attr]


def test_settings_of_the_start_picture_stay(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png", size=(50, 30))
    base = apples(img2img={"image": tmp_path, "denoising_strength": 0.25})
    request = requests(folder_plan(tmp_path, base, scale=2))[0]
    assert request.img2img
    assert request.img2img.denoising_strength == 0.25
    assert (request.width, request.height) == (96, 56)


def test_masks_go_by_name_and_a_picture_without_one_is_told(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "masks/a.webp", "masks/c.png"):
        picture(tmp_path / name)
    first, second = folder_plan(tmp_path, masks=tmp_path / "masks").cells
    assert first.request.inpaint
    assert first.request.inpaint.mask.name == "a.webp"
    assert "'b.png' has no mask" in second.problem
    (tmp_path / "masks" / "c.png").unlink()
    assert not any(cell.problem for cell in folder_plan(tmp_path, masks=tmp_path / "masks").cells)


INFOTEXT = "a fig\nNegative prompt: dull\nSteps: 7, Sampler: Euler a, CFG scale: 3, Seed: 42, Size: 9x9"


def test_infotexts_decide_what_is_taken_from_them(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png", INFOTEXT)
    picture(tmp_path / "in" / "b.png")
    take = ("prompt", "negative_prompt", "seed", "steps", "sampler")
    first, second = requests(folder_plan(tmp_path, apples(prompt="crisp", cfg_scale=2), take=take))
    assert (first.prompt, first.negative_prompt) == ("crisp a fig", "dull")
    assert (first.seed, first.steps, first.sampler, first.cfg_scale) == (42, 7, "Euler a", 2)
    assert (second.prompt, second.seed, second.sampler) == ("crisp", 5, None)


def test_infotexts_may_lie_in_another_folder(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "texts" / "a.png", INFOTEXT)
    assert requests(folder_plan(tmp_path, take=("seed",), texts=tmp_path / "texts"))[0].seed == 42


def test_results_do_not_go_where_the_pictures_are(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    pictures = PictureFolder(folder=tmp_path / "in")
    with pytest.raises(BadInput, match="results would go into"):
        plan_pictures(GridRequest(base=apples(), pictures=pictures), pictures, tmp_path / "in", SEEDS)


@pytest.mark.parametrize("fields", [{}, {"x": axis("steps", "1"), "matrix": {}}])
def test_a_grid_is_of_one_kind(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either axes, or a prompt matrix"):
        GridRequest(base=apples(), **fields)
