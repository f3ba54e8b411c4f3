"""The files that ship: size, layout, and that they draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sfumato_models_flux.transformer import FluxConfig
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.clip_text import ClipTextConfig
from sfumato_networks.t5_encoder import T5Config
from tokenizers import Tokenizer
from training import networks, tokenizers, train_autoencoder
from training.evaluate import shown_colour
from training.export import load_exported
from training.sheet import Artist


@pytest.fixture
def shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(weights / "emoji_flux.safetensors", "pt") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def artist() -> Artist:
    folder = Path(__file__).parents[2] / "plugins/model_emoji/sfumato_model_emoji/weights"
    return load_exported(folder)


def part(shapes: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def test_the_package_stays_small(weights: Path) -> None:
    assert (weights / "emoji_flux.safetensors").stat().st_size < 25e6


def test_every_part_is_there_in_its_own_layout(shapes: dict[str, tuple[int, ...]], weights: Path) -> None:
    assert FluxConfig.from_shapes(part(shapes, "model.diffusion_model.")) == networks.FLUX
    assert AutoencoderConfig.from_shapes(part(shapes, "vae.")) == train_autoencoder.CONFIG
    clip = ClipTextConfig.from_shapes(part(shapes, "text_encoders.clip_l.transformer."))
    t5 = T5Config.from_shapes(part(shapes, "text_encoders.t5xxl.transformer."))
    assert (clip.hidden_size, clip.layers, clip.positions) == (128, 2, 32)
    assert (t5.width, t5.layers, t5.head_size) == (128, 2, 32)
    for file, size in ((tokenizers.CLIP_FILE, clip.vocab_size), (tokenizers.T5_FILE, t5.vocab_size)):
        assert Tokenizer.from_file(str(weights / file)).get_vocab_size() == size


def test_the_file_says_what_it_is_and_how_its_latents_are_scaled(weights: Path) -> None:
    with safe_open(weights / "emoji_flux.safetensors", "pt") as opened:
        texts = opened.metadata()
    assert texts["modelspec.license"] == "Apache-2.0"
    assert "Noto" in texts["sfumato.training_art"]
    assert 0.1 < float(texts["sfumato.latent_scale"]) < 10
    assert abs(float(texts["sfumato.latent_shift"])) < 1


@pytest.mark.parametrize("colour", ["red", "green", "purple"])
def test_a_coloured_apple_has_its_colour(artist: Artist, colour: str) -> None:
    image = artist.draw([f"a {colour} apple"])[0]
    assert shown_colour(image) == colour


def test_the_preview_projection_shows_the_colours_of_the_picture(artist: Artist, weights: Path) -> None:
    with safe_open(weights / "emoji_flux.safetensors", "pt") as opened:
        projection = json.loads(opened.metadata()["sfumato.latent_rgb"])
    image = artist.draw(["a red heart"])
    latents = (artist.autoencoder.encode(image) - artist.shift) * artist.scale
    preview = torch.einsum("bchw,cr->brhw", latents, torch.tensor(projection["factors"]))
    preview = preview + torch.tensor(projection["bias"])[:, None, None]
    small = torch.nn.functional.avg_pool2d(image, 8)
    assert (preview - small).abs().mean() < 0.25
