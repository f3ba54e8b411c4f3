"""The A1111 text: its grammar, written and read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine import infotext

from .infotexts import OLD, ROBOT, SAILOR, STREET

LINE = "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 5, Size: 512x512"

LIGHTHOUSE = f"lighthouse\n{LINE}, Model hash: 4fa1b20c9d, Model: harbor_v3, Version: v1.10.1"
FOX = (
    "fox in snow, <lora:inkWash:0.8>\nNegative prompt: photo\n"
    "Steps: 30, Sampler: DPM++ SDE, Schedule type: Karras, CFG scale: 6, Seed: 3319, Size: 768x512, "
    'Model: meadow, Lora hashes: "inkWash: a1b2c3d4e5f6, paper-grain: 0f9e8d7c6b5a", Version: v1.9.4'
)
PLUMS = (
    "bowl of plums\nSteps: 15, Sampler: DDIM, CFG scale: 4.0, Seed: 8, Size: 512x512, "
    "Denoising strength: 0.4, Hires resize: 1024x0, Hires upscaler: Latent, Version: v1.10.1"
)
DOOR = (
    "red door\nSteps: 20, Sampler: Euler a, Seed: 11, Size: 512x512, Mask mode: Inpaint not masked, "
    "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32, Masked content: fill, Version: v1.8.0"
)
BEETLE = (
    "ein Käfer - „grün“\nNegative prompt: 低品質\nSteps: 12, Sampler: LCM, CFG scale: 1.5, Seed: 4294967293, "
    'Size: 512x512, ControlNet 0: "Module: canny, Model: cn_canny [d14c016b], Weight: 1.0", Version: v1.10.1'
)
ONLY_NEGATIVE = (
    "Negative prompt: only a negative\nSteps: 4, Sampler: Euler, CFG scale: 1.0, Seed: 1, Size: 64x64"
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
    parameters = infotext.read_parameters(text)
    assert {key: parameters.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    "text", [LIGHTHOUSE, SAILOR, FOX, STREET, PLUMS, DOOR, ROBOT, OLD, BEETLE, ONLY_NEGATIVE]
)
def test_what_was_read_is_written_as_it_was(text: str) -> None:
    read = infotext.read(text)
    assert infotext.write(read.prompt, read.negative_prompt, read.fields) == text


def test_weights_are_only_noted_where_the_prompt_has_some() -> None:
    assert "Emphasis" not in infotext.read_parameters(LIGHTHOUSE)


def test_a_last_line_with_two_fields_is_prompt() -> None:
    assert infotext.read("a sign\nReads: open, Below: closed").prompt == "a sign\nReads: open, Below: closed"


def test_numbers_are_written_as_python_prints_them_and_open_fields_left_out() -> None:
    fields = {"Steps": 20, "CFG scale": 7.0, "Model hash": None, "Tiling": True, "Eta": 0.67}
    assert infotext.write("x", "", fields) == "x\nSteps: 20, CFG scale: 7.0, Tiling: True, Eta: 0.67"


def test_keys_come_in_the_usual_order_and_unknown_ones_before_the_version() -> None:
    fields = {"Version": "1", "Hires steps": 3, "Seed": 1, "Steps": 2, "User": "me"}
    assert infotext.write("", "", fields) == "Steps: 2, Seed: 1, Hires steps: 3, Version: 1, User: me"


def test_a_value_equal_to_its_key_stands_bare() -> None:
    assert infotext.write("", "", {"NGMS": "NGMS"}) == "NGMS"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain text", "plain text"),
        ("a, b", '"a, b"'),
        ("a: b", '"a: b"'),
        ("two\nlines", '"two\\nlines"'),
        ('say "x", \\', '"say \\"x\\", \\\\"'),
        ("Käfer, 低", '"Käfer, 低"'),
        ('only "quotes"', 'only "quotes"'),
        ('"x"', '"\\"x\\""'),
    ],
)
def test_values_are_quoted_only_where_they_must_be(value: str, written: str) -> None:
    assert infotext.quoted(value) == written


PRINTABLE = st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\x85")
KEYS = ("Sampler", "Model", "Lora hashes")
VALUES = st.text(PRINTABLE | st.sampled_from(',:\n\\"'), min_size=1).filter(
    lambda value: value == value.strip() and value not in KEYS  # a bare key stands for itself
)
PROMPTS = st.text(PRINTABLE).map(str.strip).filter(lambda text: not text.startswith("Negative prompt:"))


@given(PROMPTS, PROMPTS, st.tuples(VALUES, VALUES, VALUES))
def test_prompts_and_values_survive_writing_and_reading(
    prompt: str, negative: str, values: tuple[str, ...]
) -> None:
    fields = {"Steps": "20", **dict(zip(KEYS, values, strict=True))}
    read = infotext.read(infotext.write(prompt, negative, fields))
    assert (read.prompt, read.negative_prompt, read.fields) == (prompt, negative, fields)


@pytest.mark.parametrize("piece", ["a", " ", "-", "a ", "\t", "\ta"])
def test_a_stranger_does_not_hold_up_reading_with_a_line_that_is_no_fields(piece: str) -> None:
    text = f"x{piece * 200_000}x"
    assert infotext.read(text).prompt == text


@pytest.mark.parametrize("piece", ["ab: [1,", 'ab: ["x, ', 'ab: {"a": 1, '])
def test_a_stranger_does_not_hold_up_reading_with_broken_json(piece: str) -> None:
    assert infotext.read(f"x\n{piece * 100_000}").prompt == "x"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    infotext.read_parameters(text)
