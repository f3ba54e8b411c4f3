"""Previews: by a tiny decoder where there is one, by colours else, as the setting says."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.events import Event, EventBus, Warned
from sfumato.models import LatentFormat
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.tasks import TaskContext
from sfumato_engine.preview import preview_by, previews

FORMAT = LatentFormat(channels=4, name="sd", rgb_factors=((1.0, 0.0, 0.0),) * 4)


def write_decoder(path: Path, channels: int = 4) -> Path:
    """A tiny decoder in its author's layout: two layers, one of which enlarges."""
    torch.manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    block = {
        f"3.conv.{i}.{kind}": tensor
        for i in (0, 2, 4)
        for kind, tensor in (("weight", torch.randn(4, 4, 3, 3) / 9), ("bias", torch.zeros(4)))
    }
    first = {"1.weight": torch.randn(4, channels, 3, 3) / 6, "1.bias": torch.zeros(4)}
    torch.save({**first, **block, "5.weight": torch.randn(3, 4, 3, 3), "5.bias": torch.zeros(3)}, path)
    return path


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def context(tmp_path: Path, seen: list[Event]) -> TaskContext:
    studio = Studio(Settings.load(overrides={"general.model_folders": f'["{tmp_path}"]'}))
    events = EventBus()
    events.subscribe(seen.append)
    return TaskContext(studio.registries, studio.library, studio.settings, tmp_path, events=events)


def choosing(context: TaskContext, choice: str) -> TaskContext:
    settings: Any = SimpleNamespace(engine=SimpleNamespace(preview_decoder=choice))
    return TaskContext(
        context.registries, context.library, settings, context.output_folder, events=context.events
    )


def made(
    context: TaskContext, latents: torch.Tensor, latent_format: LatentFormat = FORMAT
) -> list[np.ndarray]:
    pictures = []
    for file in preview_by(latent_format, "cpu", context)(latents):
        with Image.open(io.BytesIO(file)) as image:
            pictures.append(np.asarray(image))
    return pictures


def latents(height: int = 6, width: int = 8, channels: int = 4) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("choice", ["auto", "taesd"])
def test_a_decoder_in_vae_approx_draws_them(
    context: TaskContext, tmp_path: Path, seen: list[Event], choice: str
) -> None:
    from sfumato_networks.taesd import load_tiny_decoder

    path = write_decoder(tmp_path / "VAE-taesd" / "taesd_decoder.pth")
    found = made(choosing(context, choice), latents())
    expected = load_tiny_decoder(path, "cpu")(latents()).mul(255).round().clamp(0, 255).byte()
    assert (np.stack(found) == expected.permute(0, 2, 3, 1).numpy()).all()
    assert found[0].shape == (12, 16, 3)
    assert seen == []


def test_large_latents_are_shrunk_first(context: TaskContext, tmp_path: Path) -> None:
    write_decoder(tmp_path / "vae_approx" / "taesd_decoder.pth")
    assert made(context, latents(100, 200))[0].shape == (64, 128, 3)


def test_colours_are_shown_where_they_are_asked_for_or_no_decoder_is_there(
    context: TaskContext, tmp_path: Path, seen: list[Event]
) -> None:
    colours = previews(latents(), FORMAT)
    assert preview_by(FORMAT, "cpu", context)(latents()) == colours
    write_decoder(tmp_path / "vae_approx" / "taesd_decoder.pth")
    assert preview_by(FORMAT, "cpu", choosing(context, "colours"))(latents()) == colours
    assert seen == []


@pytest.mark.parametrize(("name", "wanted"), [("flux", "taef1_decoder"), ("", "any for this model")])
def test_a_decoder_that_was_asked_for_and_is_missing_is_told(
    context: TaskContext, tmp_path: Path, seen: list[Event], name: str, wanted: str
) -> None:
    write_decoder(tmp_path / "vae_approx" / "taesd_decoder.pth")
    other = LatentFormat(channels=4, name=name, rgb_factors=FORMAT.rgb_factors)
    assert preview_by(other, "cpu", choosing(context, "taesd"))(latents()) == previews(latents(), other)
    (event,) = seen
    assert isinstance(event, Warned)
    assert wanted in event.message


def test_a_broken_or_unfitting_decoder_is_told_and_colours_shown(
    context: TaskContext, tmp_path: Path, seen: list[Event]
) -> None:
    file = tmp_path / "vae_approx" / "taesd_decoder.pth"
    write_decoder(file, channels=16)
    assert preview_by(FORMAT, "cpu", context)(latents()) == previews(latents(), FORMAT)
    file.write_bytes(b"torn")
    assert preview_by(FORMAT, "cpu", context)(latents()) == previews(latents(), FORMAT)
    first, second = (event.message for event in seen if isinstance(event, Warned))
    assert "16 channels, not 4" in first
    assert "taesd_decoder.pth" in second


def test_the_decoder_is_kept_until_its_file_changes(context: TaskContext, tmp_path: Path) -> None:
    file = write_decoder(tmp_path / "vae_approx" / "taesd_decoder.pth")
    before = made(context, latents())
    (kept,) = context.workspace.values()
    made(context, latents())
    assert next(iter(context.workspace.values())) is kept
    tensors = torch.load(file, weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in tensors.items()}, file)
    os.utime(file, ns=(1, 1))
    assert (made(context, latents())[0] != before[0]).any()
