"""What the whole grammar does to a picture: which conditioning the model sees in which step."""

from __future__ import annotations

import pytest
import torch

from sfumato.errors import Cancelled
from sfumato.events import Event, PhaseStarted
from sfumato.models import PromptText

from .conftest import Workbench


def seen(workbench: Workbench, prompt: str, *candidates: str, **fields: object) -> list[str]:
    """For each evaluation of the model, which of the candidates it was shown first."""
    fields = {"seed": 1, "cfg_scale": 1.0, "steps": 4, "sampler": "euler", **fields}
    workbench.generate(prompt, **fields)
    model = workbench.model
    means = {text: model.condition(PromptText((((text, 1.0),),)), {}) for text in candidates}

    def name(conditioning: torch.Tensor) -> str:
        return next((text for text, mean in means.items() if torch.equal(mean, conditioning)), "?")

    return [name(conditioning) for conditioning in model.shown]


def test_an_edited_prompt_changes_after_its_step(workbench: Workbench) -> None:
    assert seen(workbench, "[cat:dog:2]", "cat", "dog") == ["cat", "cat", "dog", "dog"]


def test_a_fraction_counts_from_the_steps(workbench: Workbench) -> None:
    assert seen(workbench, "[cat:dog:0.25]", "cat", "dog") == ["cat", "dog", "dog", "dog"]


def test_alternation_goes_round_step_by_step(workbench: Workbench) -> None:
    assert seen(workbench, "[cat|dog|cow]", "cat", "dog", "cow") == ["cat", "dog", "cow", "cat"]


def test_a_second_evaluation_sees_what_is_in_force_at_its_level(workbench: Workbench) -> None:
    found = seen(workbench, "[cat:dog:2]", "cat", "dog", sampler="heun", scheduler="simple")
    assert found == ["cat", "cat", "cat", "dog", "dog", "dog", "dog"]


def test_the_negative_prompt_is_edited_too(workbench: Workbench) -> None:
    workbench.generate("a", negative_prompt="[x:y:2] AND z", seed=1, steps=4, cfg_scale=3.0)
    texts = {"".join(piece for piece, _ in text.chunks[0]) for text in workbench.model.encoded}
    assert texts == {"a", "x AND z", "y AND z"}


def test_break_parts_the_prompt_into_chunks(workbench: Workbench) -> None:
    workbench.generate("a cat BREAK (a dog:1.2)", seed=1, cfg_scale=1.0)
    assert workbench.model.encoded == [PromptText(((("a cat", 1.0),), (("a dog", 1.2),)))]


@pytest.mark.parametrize(
    ("emphasis", "chunk", "mode"),
    [
        ("original", (("a ", 1.0), ("cat", 1.2)), "original"),
        ("no_norm", (("a ", 1.0), ("cat", 1.2)), "no_norm"),
        ("ignore", (("a ", 1.0), ("cat", 1.0)), "original"),
        ("none", (("a (cat:1.2)", 1.0),), "original"),
    ],
)
def test_emphasis_reaches_the_model_as_asked(
    workbench: Workbench, emphasis: str, chunk: tuple[tuple[str, float], ...], mode: str
) -> None:
    workbench.generate("a (cat:1.2)", seed=1, cfg_scale=1.0, emphasis=emphasis)
    assert workbench.model.encoded == [PromptText((chunk,), emphasis=mode)]  # type: ignore[arg-type]


def test_clip_skip_reaches_the_model(workbench: Workbench) -> None:
    workbench.generate("a cat", seed=1, cfg_scale=1.0, clip_skip=2)
    workbench.generate("a cat", seed=1, cfg_scale=1.0)
    assert [text.clip_skip for text in workbench.model.encoded] == [2, 1]


def test_clip_skip_is_warned_about_where_it_does_nothing(workbench: Workbench) -> None:
    workbench.ignores = ("clip_skip",)
    assert "Clip skip has no effect" in workbench.generate("a cat", seed=1, clip_skip=2).warnings[0]
    assert workbench.generate("a cat", seed=1, clip_skip=1).warnings == ()


def test_prompts_joined_by_and_are_all_shown(workbench: Workbench) -> None:
    workbench.generate("cat AND dog:0.5", negative_prompt="cow", seed=1, cfg_scale=2.0)
    texts = ["".join(piece for piece, _ in text.chunks[0]).strip() for text in workbench.model.encoded]
    assert texts == ["cat", "dog", "cow"]
    assert set(workbench.model.batches) == {3}


def test_and_without_guidance_needs_the_negative_prompt_only_for_what_is_left(workbench: Workbench) -> None:
    workbench.generate("cat AND dog", negative_prompt="cow", seed=1, cfg_scale=1.0)
    assert set(workbench.model.batches) == {3}
    workbench.model.batches.clear()
    workbench.generate("cat:0.5 AND dog:0.5", negative_prompt="cow", seed=1, cfg_scale=1.0)
    assert set(workbench.model.batches) == {2}


def test_a_tag_that_nobody_applies_is_told_and_no_text(workbench: Workbench) -> None:
    result = workbench.generate("a cat<lora:ink:0.8>", seed=1, cfg_scale=1.0)
    assert "<lora:ink:0.8>" in result.warnings[0]
    assert workbench.model.encoded == [PromptText(((("a cat", 1.0),),))]


def test_cancelling_stops_before_the_next_prompt_is_encoded(workbench: Workbench) -> None:
    def cancel_while_encoding(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "encoding":
            workbench.cancel.cancel()

    workbench.on_event = cancel_while_encoding
    with pytest.raises(Cancelled):
        workbench.generate("[a|b|c]", seed=1, steps=3)
    assert workbench.model.encoded == []


def test_a_weight_that_was_hardly_meant_is_told(workbench: Workbench) -> None:
    (warning,) = workbench.generate("a photo, 16:9", seed=1, cfg_scale=2.0).warnings
    assert "9 times" in warning
    assert workbench.generate("a photo, 16:9,", seed=1, cfg_scale=2.0).warnings == ()
    assert workbench.generate("a cat AND a dog:0.5", seed=1, cfg_scale=2.0).warnings == ()


def test_cancelling_is_heard_while_a_prompt_is_read(workbench: Workbench) -> None:
    workbench.cancel.cancel()
    with pytest.raises(Cancelled):
        workbench.generate("[cat|dog]", seed=1)
    assert not workbench.loaded  # no model was loaded for it
