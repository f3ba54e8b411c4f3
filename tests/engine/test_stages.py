"""Stages of plugins in the way of a picture."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.request import GenerationRequest
from sfumato.sampling import Denoise, Option
from sfumato.stages import StageContext
from sfumato_engine.stages import NamedStage, Stages

from .conftest import Workbench
from .test_generate import pixels


def add_stage(workbench: Workbench, name: str, target: Any, at: str, *options: Option) -> None:
    registrar = workbench.registries.stages.registrar("tester")
    registrar.add(name, target, label=name.title(), at=at, options=options)
    registrar.commit()


LEVEL = Option(name="level", default=40, minimum=0, maximum=255, description="How bright.")


def framed(picture: Tensor, context: StageContext) -> Tensor:
    picture = picture.clone()
    picture[0] = context.options["level"]
    return picture


def test_a_stage_takes_part_in_the_requests_that_name_it(workbench: Workbench) -> None:
    add_stage(workbench, "frame", framed, "picture", LEVEL)
    plain = workbench.generate(seed=3).images[0]
    changed = workbench.generate(seed=3, stages={"Frame": {"level": 7}}).images[0]
    assert (pixels(changed.path)[0] == 7).all()
    assert (pixels(changed.path)[1:] == pixels(plain.path)[1:]).all()
    assert changed.request.stages == {"frame": {"level": 7}}
    with Image.open(changed.path) as image:
        assert json.loads(image.info["sfumato"])["request"]["stages"] == {"frame": {"level": 7}}


def test_options_left_out_are_at_their_defaults(workbench: Workbench) -> None:
    add_stage(workbench, "frame", framed, "picture", LEVEL)
    assert (pixels(workbench.generate(seed=3, stages={"frame": {}}).images[0].path)[0] == 40).all()


def test_stages_see_prompt_estimate_and_latents_with_their_pictures_seeds(
    workbench: Workbench,
) -> None:
    seeds: list[tuple[int, ...]] = []

    def shout(text: str, context: StageContext) -> str:
        return text.upper()

    def doubled(denoise: Denoise, context: StageContext) -> Denoise:
        seeds.append(context.seeds)
        return lambda x, sigma: 2 * denoise(x, sigma)

    def halved(latents: Tensor, context: StageContext) -> Tensor:
        seeds.append(context.seeds)
        return latents / 2

    add_stage(workbench, "shout", shout, "prompt")
    add_stage(workbench, "doubled", doubled, "denoise")
    add_stage(workbench, "halved", halved, "latents")
    chosen = {"stages": {"shout": {}, "doubled": {}, "halved": {}}, "sampler": "euler", "steps": 1}
    found = workbench.generate("a cat", seed=5, batch_size=2, cfg_scale=1.0, **chosen)
    plain = workbench.generate("A CAT", seed=5, batch_size=2, cfg_scale=1.0, sampler="euler", steps=1)
    assert seeds == [(5, 6), (5, 6)]
    for one, other in zip(found.images, plain.images, strict=True):
        assert (pixels(one.path) == pixels(other.path)).all()


def test_a_stage_may_change_the_size_of_a_picture(workbench: Workbench) -> None:
    def twice(picture: Tensor, context: StageContext) -> Tensor:
        return picture.repeat_interleave(2, 0).repeat_interleave(2, 1)

    add_stage(workbench, "twice", twice, "picture")
    record = workbench.generate(seed=1, stages={"twice": {}}).images[0]
    assert (record.width, record.height) == (64, 64)


@pytest.mark.parametrize(
    ("at", "result"),
    [
        ("prompt", 3),
        ("denoise", None),
        ("latents", torch.zeros(1)),
        ("latents", torch.zeros(1, 3, 4, 4, dtype=torch.int64)),
        ("picture", torch.zeros(4, 4, 3)),
        ("picture", torch.zeros(4, 4, dtype=torch.uint8)),
    ],
)
def test_a_stage_that_gives_back_something_else_is_named(workbench: Workbench, at: str, result: Any) -> None:
    add_stage(workbench, "odd", lambda value, context: result, at)
    with pytest.raises(PluginError, match=r"'Odd' failed.*is no .*tester"):
        workbench.generate(seed=1, stages={"odd": {}})


@pytest.mark.parametrize("at", ["prompt", "denoise", "latents", "picture"])
def test_a_stage_that_raises_fails_the_request_by_name(workbench: Workbench, at: str) -> None:
    def broken(value: Any, context: StageContext) -> Any:
        raise ZeroDivisionError("no brush")

    add_stage(workbench, "broken", broken, at)
    with pytest.raises(PluginError, match=r"'Broken' failed.*no brush"):
        workbench.generate(seed=1, stages={"broken": {}})


def test_a_stage_that_raises_or_gives_back_something_else_while_sampling_is_named(
    workbench: Workbench,
) -> None:
    def broken(denoise: Denoise, context: StageContext) -> Denoise:
        return lambda x, sigma: denoise(x, sigma) / (1 // 0)

    def first_alone(denoise: Denoise, context: StageContext) -> Denoise:
        return lambda x, sigma: denoise(x, sigma)[:1]

    add_stage(workbench, "broken", broken, "denoise")
    add_stage(workbench, "lonely", first_alone, "denoise")
    with pytest.raises(PluginError, match=r"'Broken' failed.*ZeroDivisionError"):
        workbench.generate(seed=1, stages={"broken": {}})
    with pytest.raises(PluginError, match=r"'Lonely' failed.*Tensor \[1, 3, 4, 4\]"):
        workbench.generate(seed=1, batch_size=2, stages={"lonely": {}})


def test_a_stage_is_not_blamed_for_what_the_model_raises(workbench: Workbench) -> None:
    def inner(x: Tensor, sigma: float) -> Tensor:
        raise KeyError("the model's own")

    add_stage(workbench, "plain", lambda denoise, context: lambda x, sigma: denoise(x, sigma), "denoise")
    stages = Stages([NamedStage(workbench.registries.stages.get("plain"), {})], GenerationRequest())
    with pytest.raises(KeyError, match="own"):
        stages.denoise(inner, (1,))(torch.zeros(1), 0.5)


def test_characters_that_are_none_do_not_reach_the_tokenizer(workbench: Workbench) -> None:
    add_stage(workbench, "odd", lambda text, context: "a\ud800\0b", "prompt")
    workbench.generate(seed=1, cfg_scale=1.0, stages={"odd": {}})
    assert workbench.model.encoded[0].chunks == ((("a?b", 1.0),),)


def test_stages_and_options_that_there_are_not_are_told_with_the_nearest(workbench: Workbench) -> None:
    add_stage(workbench, "frame", framed, "picture", LEVEL)
    with pytest.raises(UnknownName, match="Frame"):
        workbench.generate(seed=1, stages={"fram": {}})
    with pytest.raises(UnknownName, match="level"):
        workbench.generate(seed=1, stages={"frame": {"levl": 3}})
    with pytest.raises(BadInput, match="level"):
        workbench.generate(seed=1, stages={"frame": {"level": 256}})
