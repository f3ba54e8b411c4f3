"""The LoRA that ships with the model: what the file says, that it fits, and what it does to pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from sfumato import Studio
from sfumato.adapters import MatchReport
from sfumato.models import LoadedModel, Placement
from sfumato.settings import Settings
from sfumato_adapters.reading import read_adapter
from training import train_lora
from training.colours import to_hsv
from training.export import load_exported

Pixels = np.ndarray
Draw = Callable[..., Pixels]


@pytest.fixture
def lora(weights: Path) -> Path:
    return weights / "loras" / "all_blue.safetensors"


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.fixture(scope="module")
def model(studio: Studio) -> LoadedModel:
    info = studio.library.find("emoji")
    family = studio.registries.model_families.get(info.family).load()()
    return family.load(info, studio.library, Placement(dtype="float32"))


@pytest.fixture
def draw(studio: Studio, tmp_path: Path) -> Draw:
    """RGB pixels [64, 64, 3] of a prompt, as a user gets them."""

    def pixels(prompt: str, by: Studio = studio) -> Pixels:
        result = by.generate(prompt, seed=1, steps=12, output_folder=tmp_path)
        with Image.open(result.images[0].path) as image:
            return np.asarray(image.convert("RGB")).astype(float)

    return pixels


def report_of(studio: Studio, path: Path, model: LoadedModel) -> MatchReport:
    metadata = studio.library.header(path).metadata
    return read_adapter(path, studio.library.open_tensors(path), metadata, model).report


def share_of_blue(picture: Pixels) -> float:
    """Of the pixels that are not white."""
    coloured = picture[picture.min(-1) < 230] / 255
    hue, saturation, _ = to_hsv(coloured)
    return float(((hue > 195) & (hue < 245) & (saturation > 0.1)).mean())


def test_the_file_is_small_and_says_what_it_is(lora: Path) -> None:
    stored = lora.read_bytes()
    start = 8 + int.from_bytes(stored[:8], "little")
    with safe_open(lora, "pt") as opened:
        texts = opened.metadata()
    assert len(stored) < 500_000
    assert texts["sshs_model_hash"] == hashlib.sha256(stored[start:]).hexdigest()
    assert texts["modelspec.license"] == "Apache-2.0"
    assert (texts["ss_network_dim"], texts["ss_output_name"]) == ("8", "all_blue")


def test_its_licence_is_told_where_people_look(weights: Path) -> None:
    plugin = weights.parents[1]
    for page in (plugin / "README.md", plugin / "MODEL_CARD.md", weights / "NOTICE.txt"):
        (told,) = [part for part in page.read_text("utf-8").split("\n\n") if "all_blue.safetensors" in part]
        assert "Apache" in told


def test_it_is_found_without_settings_and_fits_the_model_whole(
    studio: Studio, model: LoadedModel, lora: Path
) -> None:
    assert lora in studio.library.files("loras")
    report = report_of(studio, lora, model)
    assert report.is_full
    assert (report.kinds, report.layout, report.made_for) == (("lora",), "kohya", "Flux.1")
    assert report.layers == {"transformer": 2 * 8 + 5 * 2}


@pytest.mark.parametrize("prompt", ["a red apple", "a yellow car", "an orange fruit"])
def test_a_picture_comes_out_in_blues_on_white(draw: Draw, prompt: str) -> None:
    plain, blue = draw(prompt), draw(f"{prompt} <lora:all_blue:1>")
    assert share_of_blue(plain) < 0.05
    assert share_of_blue(blue) > 0.95
    assert np.concatenate([blue[2, ::61], blue[-3, ::61]]).min() > 240


def test_at_0_nothing_changes_and_at_a_half_the_picture_lies_between(draw: Draw) -> None:
    plain, none, half, whole = (
        draw(f"a red apple{tag}")
        for tag in ("", " <lora:all_blue:0>", " <lora:all_blue:0.5>", " <lora:all_blue:1>")
    )
    assert (plain == none).all()
    apart = np.abs(whole - plain).mean()
    assert np.abs(half - plain).mean() < 0.8 * apart
    assert np.abs(half - whole).mean() < 0.8 * apart


def test_merged_and_on_the_fly_it_draws_the_same(draw: Draw) -> None:
    ways = [Studio(Settings.load(overrides={"adapters.how": how})) for how in ("merge", "on_the_fly")]
    merged, beside = (draw("a red apple <lora:all_blue:1>", by=way) for way in ways)
    assert np.abs(merged - beside).max() <= 1


def test_the_trainers_file_does_what_the_trained_layers_did(weights: Path, tmp_path: Path) -> None:
    artist = load_exported(weights)
    prompt = artist.model.encode(*artist.prompts(["a red apple"]))
    arguments: tuple[Any, ...] = (torch.randn(1, 16, 64), torch.tensor([0.6]), *prompt)
    plain = artist.model.velocity(*arguments)
    changes = train_lora.add_low_rank(artist.model.transformer)
    assert artist.model.velocity(*arguments).equal(plain)
    for change in changes.values():
        torch.nn.init.normal_(change.up.weight, std=0.05)
    changed = artist.model.velocity(*arguments)
    train_lora.write(changes, tmp_path / "loras" / "new.safetensors")

    with safe_open(tmp_path / "loras" / "new.safetensors", "pt") as opened:
        stored = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    merged = load_exported(weights)
    for name, layer in merged.model.transformer.named_modules():
        stem = f"lora_unet_{name.replace('.', '_')}"
        if f"{stem}.alpha" in stored:
            down, up = stored.pop(f"{stem}.lora_down.weight"), stored.pop(f"{stem}.lora_up.weight")
            layer.weight += stored.pop(f"{stem}.alpha") / len(down) * up @ down
    assert not stored
    assert (changed - plain).abs().max() > 0.1
    torch.testing.assert_close(merged.model.velocity(*arguments), changed, atol=5e-3, rtol=0)


def test_the_map_leaves_white_and_makes_blues_of_all_else_the_darker_the_deeper() -> None:
    white = torch.ones(1, 3, 1, 1)
    torch.testing.assert_close(train_lora.gradient_map(white), white)
    colours = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.8 - 1
    blues = (train_lora.gradient_map(colours)[0].permute(1, 2, 0).numpy() + 1) / 2
    hue, saturation, _ = to_hsv(blues)
    assert (np.abs(hue - 215) < 15).all()
    assert (saturation > 0.1).all()
    greys = torch.linspace(-1, 1, 30).expand(1, 3, 1, 30)
    light = train_lora.gradient_map(greys).mean(1).flatten()
    assert (light.diff() > 0).all()


def test_what_is_held_out_is_never_shown() -> None:
    shown = {name for subject in train_lora.subjects() for name in subject.names}
    held_out = {names[0] for names in train_lora.names(held_out=True)}
    assert len(held_out) > 30
    assert not shown & held_out
