"""Quick questions to the engine: answered without a tensor library, in any process."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato import Studio
from sfumato.errors import BadInput, UnknownName
from sfumato.testing.entries import heavy_imports_of


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


def kinds(studio: Studio, prompt: str, **how: bool) -> list[tuple[str, str]]:
    answer = studio.ask("prompt_syntax", prompt=prompt, **how)
    text = prompt.encode("utf-16-le")
    units = [prompt[t.start : t.end] for t in answer.tokens]
    if how.get("utf16"):
        units = [text[2 * t.start : 2 * t.end].decode("utf-16-le") for t in answer.tokens]
    return [(token.kind, unit) for token, unit in zip(answer.tokens, units, strict=True)]


def test_a_prompt_is_cut_into_stretches_of_one_meaning(studio: Studio) -> None:
    assert kinds(studio, "a (red:1.2) [cat|dog] BREAK <lora:all_blue:0.5>x") == [
        ("text", "a "),
        ("emphasis", "("),
        ("text", "red"),
        ("emphasis", ":1.2)"),
        ("text", " "),
        ("alternation", "["),
        ("text", "cat"),
        ("alternation", "|"),
        ("text", "dog"),
        ("alternation", "]"),
        ("break", " BREAK "),
        ("network", "<lora:all_blue:0.5>"),
        ("text", "x"),
    ]


@pytest.mark.parametrize("utf16", [False, True])
def test_places_are_counted_as_the_asker_counts(studio: Studio, utf16: bool) -> None:
    assert ("emphasis", ":1.2)") in kinds(studio, "🍎🍎 (🍐 pear:1.2)", utf16=utf16)


def test_the_networks_of_a_prompt_are_named(studio: Studio) -> None:
    (network,) = studio.ask("prompt_syntax", prompt="x <lora:all_blue:0.5>").networks
    assert (network.kind, network.name, network.start) == ("lora", "all_blue", 2)


def test_tokens_are_counted_for_each_encoder_of_the_model(studio: Studio) -> None:
    clip, t5 = studio.ask("token_count", prompt="a red apple").counts
    assert (clip.encoder, clip.tokens, clip.windows) == ("CLIP", 3, 1)
    assert (t5.encoder, t5.limit > t5.tokens > 0) == ("T5", True)


def test_syntax_is_no_token_and_the_longest_of_an_edited_prompt_counts(studio: Studio) -> None:
    def tokens(prompt: str, **more: bool) -> int:
        return studio.ask("token_count", prompt=prompt, **more).counts[0].tokens

    assert tokens("(a red apple:1.3) <lora:all_blue:1>") == 3
    assert tokens("[apple:a red apple:0.5]") == 3
    assert tokens("") == 0
    assert tokens("<lora:all_blue:1>", negative=True) > 3


def test_a_model_that_is_not_here_is_told(studio: Studio) -> None:
    with pytest.raises(UnknownName, match="no model named"):
        studio.ask("token_count", prompt="x", model="nothing")
    with pytest.raises(UnknownName, match="query"):
        studio.ask("nonsense")
    with pytest.raises(BadInput, match="steps"):
        studio.ask("token_count", prompt="x", steps=0)


def test_a_picture_of_ours_gives_back_its_request(studio: Studio, tmp_path: Path) -> None:
    made = studio.generate("a red apple", seed=3, steps=2, output_folder=tmp_path).images[0]
    memory = studio.ask("read_picture", path=made.path)
    assert (memory.source, memory.width, memory.infotext) == ("sfumato", made.width, made.infotext)
    again = studio.generate(
        "", **{**memory.request, "prompt": memory.request["prompt"]}, output_folder=tmp_path
    )
    assert again.images[0].path.read_bytes()[-2000:] == made.path.read_bytes()[-2000:]
    with pytest.raises(BadInput):
        studio.ask("read_picture", path=tmp_path / "none.png")


def test_an_infotext_gives_the_fields_of_a_form(studio: Studio) -> None:
    text = "a cat\nNegative prompt: a dog\nSteps: 7, Sampler: Euler a, CFG scale: 5, Seed: 3, "
    text += "Size: 64x128, Model: gone"
    answer = studio.ask("import_infotext", text=text)
    wanted = {
        "prompt": "a cat",
        "negative_prompt": "a dog",
        "steps": 7,
        "seed": 3,
        "width": 64,
        "height": 128,
    }
    assert wanted.items() <= answer.request.items()
    assert "the model 'gone', which is not here" in answer.left
    assert studio.ask("infotext_parameters", text=text).parameters["Size-2"] == "128"


def test_a_plan_tells_pictures_steps_and_size(studio: Studio) -> None:
    request = {
        "steps": 5,
        "batch_size": 2,
        "count": 3,
        "width": 64,
        "height": 64,
        "hires": {"scale": 2, "steps": 4},
    }
    plan = studio.ask("plan", kind="generate", request=request)
    assert (plan.images, plan.steps, plan.width, plan.height) == (6, 27, 128, 128)
    assert plan.pixel_steps == 6 * (5 * 64 * 64 + 4 * 128 * 128)
    assert not plan.problems


def test_a_plan_tells_what_is_wrong(studio: Studio) -> None:
    assert "stepz" in studio.ask("plan", request={"stepz": 1}).problems[0]
    assert "no sampler named" in studio.ask("plan", request={"sampler": "nothing"}).problems[0]
    with pytest.raises(BadInput, match="Nobody can tell"):
        studio.ask("plan", kind="train", request={})


def test_the_plan_of_a_grid_counts_its_cells(studio: Studio) -> None:
    base = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "batch_size": 2}
    grid = {
        "base": base,
        "x": {"field": "steps", "values": ["1-3"]},
        "y": {"field": "seed", "values": ["1", "2"]},
    }
    plan = studio.ask("plan", kind="grid", request=grid)
    assert (plan.images, plan.steps, plan.width) == (12, 12, 64)
    wrong = {**grid, "x": {"field": "sampler", "values": ["nothing"]}}
    assert studio.ask("plan", kind="grid", request=wrong).problems


def test_no_question_needs_a_tensor_library(tmp_path: Path) -> None:
    code = """
from sfumato import Studio
studio = Studio()
studio.ask("prompt_syntax", prompt="a (cat:1.1)")
studio.ask("token_count", prompt="a (cat:1.1)")
studio.ask("import_infotext", text="a cat\\nSteps: 7, Seed: 3")
studio.ask("infotext_parameters", text="a cat\\nSteps: 7, Seed: 3")
studio.ask("plan", request={"prompt": "a cat"})
studio.ask("plan", kind="grid", request={"base": {}, "x": {"field": "steps", "values": ["1"]}})
studio.ask("styles")
"""
    assert "torch" not in heavy_imports_of(code)
