"""The dictionary that A1111 makes of an infotext."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.replay.a1111_parameters import read_parameters

from ...infotexts import (
    BEETLE,
    DOOR,
    FOX,
    LIGHTHOUSE,
    OLD,
    ONLY_NEGATIVE,
    PLUMS,
    ROBOT,
    SAILOR,
    STREET,
)

READ: list[tuple[str, dict[str, Any]]] = [
    (LIGHTHOUSE, {"Prompt": "lighthouse", "Negative prompt": "", "Steps": "20", "CFG scale": "7.0"}),
    (LIGHTHOUSE, {"Size-1": "512", "Size-2": "512", "Model": "harbor_v3", "Clip skip": "1", "RNG": "GPU"}),
    (SAILOR, {"Negative prompt": "lowres, (watermark:1.4)", "Clip skip": "2", "Emphasis": "Original"}),
    (
        SAILOR,
        {"Sampler": "DPM++ 2M", "Schedule type": "Karras", "VAE": "sdxl_vae.safetensors", "Size-2": "1216"},
    ),
    (FOX, {"Lora hashes": "inkWash: a1b2c3d4e5f6, paper-grain: 0f9e8d7c6b5a", "CFG scale": "6"}),
    (STREET, {"Prompt": 'city street\nat night, neon: pink, "OPEN" sign', "Negative prompt": "people\ncars"}),
    (STREET, {"Schedule type": "Automatic", "Hires sampler": "Use same sampler", "VAE Decoder": "Full"}),
    (
        PLUMS,
        {"Hires resize-1": "1024", "Hires resize-2": "0", "Hires upscaler": "Latent", "Hires prompt": ""},
    ),
    (DOOR, {"Mask mode": "Inpaint not masked", "Masked content": "fill", "Masked area padding": "32"}),
    (
        ROBOT,
        {
            "Distilled CFG Scale": "3.5",
            "Diffusion in Low Bits": "Automatic (fp16 LoRA)",
            "Module 3": "t5xxl_fp8_e4m3fn",
        },
    ),
    (OLD, {"Sampler": "DPM++ 2M Karras", "Model hash": "7460a6fa", "Masked area padding": 32}),
    (BEETLE, {"Negative prompt": "低品質", "Seed": "4294967293"}),
    (BEETLE, {"ControlNet 0": "Module: canny, Model: cn_canny [d14c016b], Weight: 1.0"}),
    (ONLY_NEGATIVE, {"Prompt": "", "Negative prompt": "only a negative", "Size-1": "64"}),
    (ONLY_NEGATIVE.replace("prompt: ", "prompt:\n"), {"Prompt": "", "Negative prompt": "only a negative"}),
    ("no fields, just: a prompt", {"Prompt": "no fields, just: a prompt", "Negative prompt": ""}),
    ("", {"Prompt": "", "Negative prompt": "", "Refiner switch by sampling steps": False}),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_texts_of_other_programs_are_read(text: str, expected: dict[str, Any]) -> None:
    parameters = read_parameters(text)
    assert {key: parameters.get(key) for key in expected} == expected


def test_weights_are_only_noted_where_the_prompt_has_some() -> None:
    assert "Emphasis" not in read_parameters(LIGHTHOUSE)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_parameters(text)
