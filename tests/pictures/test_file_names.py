"""File and folder names from patterns: A1111's placeholders, and nothing that harms a file system."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfumato_pictures.file_names import LONGEST_NAME, check_pattern, harmless, render, render_folder
from sfumato_pictures.settings import SavingSettings

VALUES: dict[str, Any] = {
    "seed": 7,
    "steps": 20,
    "cfg": 7.5,
    "model": "gauss",
    "model_hash": "4fa1b20c9d",
    "sampler": "DPM++ 2M",
    "scheduler": "Karras",
    "width": 64,
    "height": 32,
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "prompt": "a red/apple, (ripe:1.2)",
    "negative_prompt": "worm",
    "styles": ("ink", "snow"),
    "batch_size": 2,
    "batch_number": 1,
    "image_total": 4,
    "generation_number": 3,
    "clip_skip": 2,
    "denoising": 0.5,
    "vae": "/models/vae/sdxl_vae.fp16.safetensors",
    "image": b"pixels",
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]-[steps]-[cfg]", "7-20-7.5"),
        ("[width]x[height] [model_name] [model_hash]", "64x32 gauss 4fa1b20c9d"),
        ("[sampler] [scheduler]", "DPM++ 2M Karras"),
        ("[date] [datetime] [job_timestamp]", "2026-01-02 20260102030405 20260102030405"),
        ("[datetime<%Y %H-%M>]", "2026 03-04"),
        ("[datetime<%d %H><Asia/Tokyo>]", "02 12"),
        ("[datetime<><Asia/Tokyo>]", "20260102120405"),
        ("[datetime<%H><Nowhere/Land>]", "03"),
        ("[prompt]", "a_red_apple,_(ripe_1.2)"),
        ("[prompt_spaces]", "a red_apple, (ripe_1.2)"),
        ("[prompt_words]", "a red apple ripe 1 2"),
        ("[prompt_hash]", digest(VALUES["prompt"])[:8]),
        ("[prompt_hash<3>]", digest(VALUES["prompt"])[:3]),
        ("[negative_prompt_hash]", digest("worm")[:8]),
        ("[full_prompt_hash]", digest(VALUES["prompt"] + " worm")[:8]),
        ("[image_hash<6>]", digest("pixels")[:6]),
        ("[styles]", "ink, snow"),
        ("[batch_number]of[batch_size] [generation_number]", "1of2 3"),
        ("[hasprompt<Apple|fruit><pear|none>]", "applenone"),
        ("[clip_skip] [denoising] [vae_filename]", "2 0.5 sdxl_vae"),
        ("[seed][user]", "7"),
        ("[none]", ""),
        ("[sequence]-[seed]", "7"),
        ("[SEED]", "7"),
        ("plain", "plain"),
        ("{seed}-{model}-{prompt}", "7-gauss-a-red-apple-ripe-1.2"),
        ("{width}x{height} {date}", "64x32 2026-01-02"),
    ],
)
def test_names_follow_the_pattern(pattern: str, name: str) -> None:
    assert render(check_pattern(pattern), VALUES) == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed] at [denoising]", "7"),
        ("[seed]-[batch_number]-[generation_number]", "7"),
        ("[seed]-vae [vae_filename]", "7"),
        ("[styles]", "None"),
        ("[prompt_words]", "empty"),
    ],
)
def test_what_is_not_known_takes_the_text_before_it_along(pattern: str, name: str) -> None:
    assert render(pattern, {"seed": 7, "batch_size": 1, "batch_number": 1}) == name


def test_the_prompt_without_styles_is_the_one_that_was_typed() -> None:
    assert render("[prompt_no_styles]", {**VALUES, "prompt_no_styles": "an apple"}) == "an apple"


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("赤いリンゴ、皿の上", "赤いリンゴ-皿の上"),
        ("Красное яблоко", "Красное-яблоко"),
        ("हिन्दी", "हिन्दी"),
        ("Ka\u0308fer", "Käfer"),
        ("left\u202eright 🍎", "left-right"),
        ("字" * 200, "字" * 79),
    ],
)
def test_letters_of_any_script_are_kept(prompt: str, name: str) -> None:
    assert render("{prompt}", {"prompt": prompt}) == name


@pytest.mark.parametrize("pattern", ["{sed}", "[sed]", "[seed<3]", "[]", "{prompt!r}"])
def test_unknown_placeholders_are_refused_when_the_setting_is_made(pattern: str) -> None:
    for setting in ("file_name", "folder_name"):
        with pytest.raises(ValueError, match=f"unknown placeholder {re.escape(pattern)}"):
            SavingSettings(**{setting: pattern})


def test_folders_are_parts_between_slashes_and_stay_below() -> None:
    values = {**VALUES, "model": "../../etc/passwd", "prompt": ".."}
    assert render_folder("[date]/[seed]\\x", values) == PurePosixPath("2026-01-02/7/x")
    assert render_folder("/../~/[model_name]/[prompt]/./a", values) == PurePosixPath("~/_.._etc_passwd/a")
    assert render_folder("", values) == PurePosixPath()


hostile = (
    st.text()
    | st.text(st.characters(categories=["L", "M"]), min_size=60)
    | st.text('./\\:*?"<>|\0\n -~conCOMauxprnNUL1²$', max_size=20)
)


@given(hostile)
@example("con")
@example("NUL.txt")
@example("com¹")
@example("aux .png")
@example("-.x")
@example("字" * 300)
@example("a" * 118 + "...")
@example("\u0344" * 120)
def test_no_text_harms_a_file_system(text: str) -> None:
    name = harmless(text)
    assert len(name) <= LONGEST_NAME + 1
    assert len(f".{name}-100.webp.part".encode()) <= 255
    assert len(f"1000000-{name}.webp".encode()) <= 255
    assert not set(name) & set('/\\:*?"<>|')
    assert name.isprintable()
    assert not name.startswith((".", "-", " "))
    assert not name.endswith((".", " "))
    assert not PureWindowsPath(name).is_reserved()
    assert PurePosixPath("a", name).parent == PurePosixPath("a") or not name


@given(hostile, hostile)
def test_no_prompt_leaves_the_folder(prompt: str, model: str) -> None:
    values = {"prompt": prompt, "model": model}
    assert harmless(render("[model_name][prompt]", values)) == render("[model_name][prompt]", values)
    folder = render_folder("[prompt]/{prompt}/[model_name]", values)
    assert not folder.is_absolute()
    assert len(folder.parts) <= 3
    assert ".." not in folder.parts


@pytest.mark.parametrize("pattern", ["[datetime<%Y/%m>]/[seed]", "{datetime<%Y/%m>}/[seed]"])
def test_a_slash_within_a_placeholder_parts_no_folders(pattern: str) -> None:
    folder = render_folder(pattern, {"when": datetime(2026, 3, 1), "seed": 7})
    assert len(folder.parts) == 2
    assert folder.parts[0] in ("2026_03", "2026-03")
