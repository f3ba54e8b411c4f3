"""What a request asks for in vain is told; what works is not."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Workbench


def warned(workbench: Workbench, prompt: str = "a cat", **fields: Any) -> str:
    return " ".join(workbench.generate(prompt, seed=1, **fields).warnings)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cfg_scale": 1.0, "negative_prompt": "x"}, "Negative prompt has no effect at CFG scale 1."),
        ({"cfg_scale": 1.0, "cfg_rescale": 0.5}, "CFG rescale has no effect at CFG scale 1."),
        ({"cfg_scale": 1.0, "guidance_end": 0.5}, "Guidance end has no effect at CFG scale 1."),
        ({"guidance_start": 1.0, "negative_prompt": "x"}, "Negative prompt has no effect: no step uses it."),
        ({"guidance_end": 0.0, "cfg_rescale": 0.5}, "CFG rescale has no effect: no step is guided."),
        (
            {"negative_minimum_sigma": 2, "negative_minimum_sigma_all": True, "negative_prompt": "x"},
            "Negative prompt has no effect: no step uses it.",
        ),
        (
            {"negative_minimum_sigma_all": True},
            "Negative guidance minimum sigma, all steps has no effect without a minimum sigma.",
        ),
        ({"variation_seed": 5}, "Variation seed has no effect at variation strength 0."),
        ({"seed_resize_width": 32}, "Seed resize has no effect: it is this picture's own size."),
        (
            {"sampler": "euler_ancestral", "step_noise": "brownian_tree"},
            "Step noise has no effect with the sampler 'Euler a'.",
        ),
        (
            {"sampler": "euler", "noise_seed_delta": 31337},
            "Eta noise seed delta has no effect with the sampler 'Euler'.",
        ),
    ],
)
def test_what_a_request_asks_for_in_vain_is_told(
    workbench: Workbench, fields: dict[str, Any], told: str
) -> None:
    assert warned(workbench, **fields) == told


@pytest.mark.parametrize(
    "fields",
    [
        {"negative_prompt": "x", "cfg_rescale": 0.5, "guidance_start": 0.5, "negative_minimum_sigma": 0.5},
        {"variation_seed": 5, "variation_strength": 0.1},
        {"seed_resize_width": 64, "seed_resize_height": 32},
        {"sampler": "dpmpp_sde", "step_noise": "brownian_tree"},
        {"sampler": "euler_ancestral", "noise_seed_delta": 31337},
        {"sampler": "ddim", "sampler_options": {"eta": 1.0}, "noise_seed_delta": 31337},
        {"sampler": "euler_cfg_pp", "cfg_scale": 1.0, "negative_prompt": "x"},
        {"sampler": "euler_cfg_pp", "guidance_start": 1.0, "negative_prompt": "x"},
    ],
)
def test_what_has_an_effect_is_not_warned_about(workbench: Workbench, fields: dict[str, Any]) -> None:
    assert warned(workbench, **fields) == ""


def test_weights_that_cancel_leave_the_negative_prompt_nothing_at_their_scale(workbench: Workbench) -> None:
    told = warned(workbench, "a cat:0.25 AND a dog:0.25", cfg_scale=2.0, negative_prompt="x")
    assert told == "Negative prompt has no effect at CFG scale 2."


def test_a_file_for_a_part_that_the_model_does_not_have_is_told(workbench: Workbench) -> None:
    result = workbench.generate(seed=1, parts={"autoencodr": str(workbench.model_file)})
    assert result.warnings == ("The file for the part 'autoencodr' has no effect: 'gauss' has transformer.",)
