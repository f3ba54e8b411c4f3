"""Adapters as requests see them: pictures of a tiny SD 1.5 by a whole studio, and what is told with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato import Studio
from sfumato.records import GenerationResult
from sfumato.settings import Settings

from ..golden.models import LORA_LAYERS, write_lora
from ..tiny_models.sd import write_sd15

WIDTH = 64
"""Of the tiny text encoder's vectors."""
HIRES = {"scale": 1.5, "denoising_strength": 0.7, "steps": 2}


class Desk:
    """A studio over a folder with the model "sd15" and the LoRAs "one" and "two"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_sd15(folder)
        first = write_lora(self.model, LORA_LAYERS["sd15"], folder / "loras" / "one.safetensors")
        second = {key: tensor.flip(0) if tensor.ndim else tensor for key, tensor in load_file(first).items()}
        save_file(second, folder / "loras" / "two.safetensors")
        settings = {"general.model_folders": f'["{folder.as_posix()}"]', "engine.dtype": "float32"}
        self.studio = Studio(Settings.load(environ={}, file=folder / "settings.toml", overrides=settings))
        self.on_latents: Callable[[], object] = lambda: None
        self._caught: list[Tensor] = []
        stages = self.studio.registries.stages.registrar("desk")
        stages.add("catch", self._catch, label="Catch", at="latents")
        stages.commit()

    @property
    def model(self) -> Path:
        return self.folder / "checkpoints" / "sd15.safetensors"

    def write_word(self, name: str, vectors: int = 2) -> None:
        """A learned word."""
        path = self.folder / "embeddings" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        numbers = torch.randn(vectors, WIDTH, generator=torch.Generator().manual_seed(1))
        save_file({"emb_params": numbers}, path)

    def draw(self, prompt: str, negative: str = "blue", **changes: Any) -> GenerationResult:
        asked = {"model": "sd15", "seed": 1, "steps": 2, "width": 64, "height": 64, "cfg_scale": 4.0}
        self._caught = []
        return self.studio.generate(
            prompt,
            negative_prompt=negative,
            stages={"catch": {}},
            output_folder=self.folder / "out",
            **{**asked, **changes},
        )

    def latents(self, prompt: str, **changes: Any) -> Tensor:
        self.draw(prompt, **changes)
        return torch.cat(self._caught)

    def _catch(self, latents: Tensor, context: Any) -> Tensor:
        self._caught.append(latents.clone())
        self.on_latents()
        return latents


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(shared: Desk) -> Desk:
    shared.on_latents = lambda: None
    for path in shared.folder.glob("embeddings/*"):
        path.unlink()
    return shared


def infotext(result: GenerationResult) -> str:
    with Image.open(result.images[0].path) as image:
        return str(image.info["parameters"])


def test_the_hashes_of_all_passes_are_told_each_once(desk: Desk) -> None:
    desk.write_word("smile")
    hires = {**HIRES, "prompt": "a smile <lora:two:1><lora:one:0.5>"}
    told = infotext(desk.draw("<lora:one:1>", hires=hires))
    hashes = told.split('Lora hashes: "')[1].split('"')[0]
    assert [item.split(": ")[0] for item in hashes.split(", ")] == ["one", "two"]
    assert 'TI hashes: "smile: ' in told


@pytest.mark.parametrize("prompt", ["<lora:late:1>", "<lora:late:0@0,1@1>"])
def test_a_file_deleted_while_pictures_are_drawn_acts_on_all_of_them(desk: Desk, prompt: str) -> None:
    late = desk.folder / "loras" / "late.safetensors"
    late.write_bytes((desk.folder / "loras" / "one.safetensors").read_bytes())
    expected = desk.latents(prompt, count=2)
    desk.on_latents = lambda: late.unlink(missing_ok=True)
    assert desk.latents(prompt, count=2).equal(expected)


def test_a_file_written_anew_acts_from_the_next_request_on(desk: Desk) -> None:
    folder = desk.folder / "loras"
    late = folder / "late.safetensors"
    late.write_bytes((folder / "one.safetensors").read_bytes())
    one, two = (desk.latents(f"<lora:{name}:1>", count=2) for name in ("one", "two"))
    desk.on_latents = lambda: late.write_bytes((folder / "two.safetensors").read_bytes())
    assert desk.latents("<lora:late:1>", count=2).equal(one)
    assert desk.latents("<lora:late:1>", count=2).equal(two)


def test_passes_with_loras_of_their_own_draw_every_picture_alike(desk: Desk) -> None:
    hires = {**HIRES, "prompt": "<lora:two:1>"}
    both = desk.latents("<lora:one:1>", hires=hires, count=2)
    apart = torch.cat([desk.latents("<lora:one:1>", hires=hires, seed=seed) for seed in (1, 2)])
    assert both.equal(apart)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (r"an \(odd\) house", '"(odd): '),
        ("an (odd) house", ""),
        ("a [house:(smile:1.2):0.5]", '"smile: '),
        ("a [house:smile:9]", ""),
        ("a house <lora:one:1>", ""),
    ],
)
def test_learned_words_are_looked_for_in_what_encoders_read(desk: Desk, prompt: str, told: str) -> None:
    for name in ("(odd)", "smile", "one"):
        desk.write_word(name)
    text = infotext(desk.draw(prompt))
    assert f"TI hashes: {told}" in text if told else "TI hashes" not in text


def test_a_word_that_is_read_as_text_has_no_hash(desk: Desk) -> None:
    desk.write_word("smile")
    save_file({"clip_g": torch.ones(1, 8)}, desk.folder / "embeddings" / "smile.safetensors")
    result = desk.draw("a smile")
    assert "TI hashes" not in infotext(result)
    (warning,) = result.warnings
    assert warning.startswith("The embedding 'smile' has no vectors for 'sd15'")


def test_a_tag_in_the_negative_prompt_is_told_to_be_words(desk: Desk) -> None:
    (warning,) = desk.draw("a house", "blue <lora:one:1>").warnings
    assert warning.startswith("<lora:one:1> has no effect in the negative prompt")
