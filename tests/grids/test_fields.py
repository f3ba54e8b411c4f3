"""Fields of a request by their paths, titles, and names in A1111; texts become their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import UnknownName
from sfumato_grids.fields import find_field, put
from sfumato_grids.labels import FORGE_LABELS

SPECIAL = ("nothing", "size", "prompt_replace", "prompt_order")


@pytest.mark.parametrize(
    ("name", "path", "text", "value"),
    [
        ("steps", "steps", "20", 20),
        ("CFG Scale", "cfg_scale", "3.5", 3.5),
        ("Checkpoint name", "model", "None", None),
        ("Masked content", "inpaint.content", "latent noise", "latent_noise"),
        ("hires.denoising_strength", "hires.denoising_strength", "0.4", 0.4),
        ("Hires upscaler", "hires.upscaler", "Latent", "Latent"),
        ("styles", "styles", 'a, "b, c"', ("a", "b, c")),
        ("regions", "regions", "a.png", (Path("a.png"),)),
        ("RNG source", "noise_source", "NV", "nv"),
        ("tiling", "tiling", "true", True),
        ("sampler_options.eta", "sampler_options.eta", "0.5", 0.5),
        ("VAE", "parts.autoencoder", "Automatic", None),
        ("VAE", "parts.autoencoder", "sdxl_vae", "sdxl_vae"),
        ("stages.film_grain.amount", "stages.film_grain.amount", "2", 2),
        ("inpaint.soft.schedule_bias", "inpaint.soft.schedule_bias", "2", 2.0),
    ],
)
def test_a_text_is_the_fields_value(name: str, path: str, text: str, value: Any) -> None:
    field = find_field(name)
    assert (field.path, field.value(text)) == (path, value)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("steps", "abc", "valid integer"),
        ("steps", "0", "greater than or equal to 1"),
        ("seed", "-2", "greater than or equal to -1"),
        ("cfg_scale", "nan", "less than or equal|greater than or equal|finite"),
        ("tiling", "maybe", "valid boolean"),
        ("img2img.resize_mode", "strech", "did you mean stretch"),
    ],
)
def test_a_value_that_cannot_be_says_why(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        find_field(name).value(text)


@pytest.mark.parametrize(("name", "offer"), [("cfg_scal", "cfg_scale"), ("hires.scal", "hires.scale")])
def test_a_field_that_there_is_not_offers_the_nearest(name: str, offer: str) -> None:
    with pytest.raises(UnknownName, match="Did you mean") as caught:
        find_field(name)
    assert offer in str(caught.value).lower().replace(" ", "_")


@pytest.mark.parametrize("name", ["hires", "sampler_options", "stages.film_grain", "steps.more", "hires."])
def test_sections_and_tables_are_no_fields(name: str) -> None:
    with pytest.raises(UnknownName):
        find_field(name)


@pytest.mark.parametrize("label", [label for label, path in FORGE_LABELS.items() if path not in SPECIAL])
def test_every_name_in_a1111_stands_for_a_field(label: str) -> None:
    assert find_field(label.upper()).path == FORGE_LABELS[label]


def test_nothing_in_a_table_takes_the_entry_out() -> None:
    values: dict[str, Any] = {"parts": {"autoencoder": "x", "unet": "y"}, "hires": None}
    put(values, "parts.autoencoder", None)
    put(values, "hires.scale", 1.5)
    assert values == {"parts": {"unet": "y"}, "hires": {"scale": 1.5}}
