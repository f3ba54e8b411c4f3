"""Loaded folders, driven as the engine does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import BadInput, CheckpointError, MissingPart, SfumatoError
from sfumato.file_hashes import FileHashes
from sfumato.library import ModelLibrary
from sfumato.models import Placement, PromptText
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.testing import ModelFamilyContract, PluginContract
from sfumato_adapters.layer_table import LayerTable
from sfumato_adapters.layouts import LayerName, Section
from sfumato_models_diffusers.family import DiffusersFamily
from sfumato_models_diffusers.model import DiffusersModel
from sfumato_models_diffusers.recipes.recipe import known_latents

pytest.importorskip("diffusers")

FLOAT32 = Placement(dtype="float32")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each family, by its name."""
    from ..tiny_models import diffusers_families

    root = tmp_path_factory.mktemp("folders")
    for name in ("qwen_image", "z_image", "flux2_klein"):
        diffusers_families.write(getattr(diffusers_families, name)(), root / name)
    return root


def load(folder: Path, placement: Placement = FLOAT32) -> DiffusersModel:
    registries = Studio(Settings.load(environ={}, file=folder.parent / "settings.toml")).registries
    library = ModelLibrary([folder.parent], registries, FileHashes(folder.parent / "hashes.json"))
    return DiffusersFamily().load(library.detect(folder), library, placement)


def text(words: str, weight: float = 1.0, **fields: bool) -> PromptText:
    return PromptText((((words, weight),),), **fields)


@pytest.mark.parametrize(
    ("name", "channels", "pixels", "latents"),
    [("qwen_image", 4, 8, "qwen_image"), ("z_image", 4, 8, ""), ("flux2_klein", 16, 16, "flux2")],
)
def test_latents_are_planes_whatever_the_pipeline_packs_them_into(
    folders: Path, name: str, channels: int, pixels: int, latents: str
) -> None:
    model = load(folders / name)
    form = model.latent_format
    assert (form.channels, form.pixels_per_latent, form.size_multiple, form.name) == (
        channels,
        pixels,
        16,
        latents,
    )
    picture = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    encoded = model.encode(picture)
    assert encoded.shape == (2, channels, 32 // pixels, 48 // pixels)
    assert model.decode(encoded).shape == picture.shape


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ({"scaling_factor": 0.3611, "shift_factor": 0.1159, "latent_channels": 16}, "flux"),
        ({"scaling_factor": 0.13025, "shift_factor": None, "latent_channels": 4}, "sdxl"),
        ({"scaling_factor": 1.5305, "shift_factor": 0.0609, "latent_channels": 16}, ""),
        ({"scaling_factor": 0.3611, "shift_factor": 0.1159, "latent_channels": 16, "widths": (8, 8)}, ""),
    ],
)
def test_an_autoencoder_of_another_family_makes_latents_of_its_name(sizes: dict[str, Any], name: str) -> None:
    widths = sizes.pop("widths", (128, 256, 512, 512))
    assert known_latents(SimpleNamespace(block_out_channels=list(widths), **sizes)) == name


def test_the_shift_is_the_folders_or_the_users(folders: Path) -> None:
    assert load(folders / "z_image").noise_schedule(512, 512, {}).shift == 3.0
    qwen = load(folders / "qwen_image")
    assert qwen.noise_schedule(256, 256, {}).shift == pytest.approx(2.718281828**0.5)
    assert qwen.noise_schedule(256, 256, {"shift": 2.0}).shift == 2.0


def test_prompts_of_different_lengths_share_a_batch(folders: Path) -> None:
    model = load(folders / "z_image")
    prompts = [model.condition(text(words), {}) for words in ("red", "a long blue thing", "sky")]
    x = torch.randn(3, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    together = model.denoise(x, 0.6, prompts, {})
    for i, prompt in enumerate(prompts):
        torch.testing.assert_close(together[i : i + 1], model.denoise(x[i : i + 1], 0.6, [prompt], {}))


def test_weights_in_a_prompt_are_told_to_have_no_effect(folders: Path) -> None:
    model = load(folders / "z_image")
    plain, weighted = model.condition(text("red"), {}), model.condition(text("red", 1.4), {})
    assert plain.notes == ()
    assert "no effect" in weighted.notes[0]
    assert torch.equal(plain.prompt[0], weighted.prompt[0])


def test_another_autoencoder_is_taken_when_it_is_wished_for(folders: Path, tmp_path: Path) -> None:
    own = load_file(folders / "z_image" / "vae" / "diffusion_pytorch_model.safetensors")
    other = tmp_path / "other.safetensors"
    save_file({name: tensor + 0.01 for name, tensor in own.items()}, other)
    model = load(folders / "z_image", Placement(dtype="float32", part_files={"autoencoder": other}))
    assert model.files["autoencoder"] == (other,)
    weight = model.networks["autoencoder"].state_dict()["decoder.conv_in.weight"]
    torch.testing.assert_close(weight, own["decoder.conv_in.weight"] + 0.01)


def test_a_file_that_holds_another_part_is_refused(folders: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(3)}, other)
    with pytest.raises(BadInput, match="cannot be taken as the autoencoder"):
        load(folders / "z_image", Placement(part_files={"autoencoder": other}))


def test_parts_compute_in_the_types_asked_for(folders: Path) -> None:
    placement = Placement(dtype="float32", part_dtypes={"transformer": "bfloat16"})
    model = load(folders / "z_image", placement)
    types = {kind: next(network.parameters()).dtype for kind, network in model.networks.items()}
    assert types == {
        "transformer": torch.bfloat16,
        "text_encoder": torch.float32,
        "autoencoder": torch.float32,
    }
    x = torch.randn(1, 4, 4, 4)
    denoised = model.denoise(x, 0.5, [model.condition(text("red"), {})], {})
    assert denoised.dtype == torch.float32
    assert denoised.isfinite().all()


def test_without_diffusers_it_says_what_to_install(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(SfumatoError) as missing:
        load(folders / "z_image")
    assert 'pip install "sfumato-models-diffusers[diffusers]"' in missing.value.hint


def test_what_diffusers_cannot_load_is_a_clear_error(folders: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders / "z_image", broken)
    config = broken / "vae" / "config.json"
    config.write_text(
        config.read_text("utf-8").replace('"latent_channels": 4', '"latent_channels": 5'), "utf-8"
    )
    with pytest.raises(CheckpointError, match="could not load 'broken'"):
        load(broken)


def test_flux2_knows_its_layers_by_the_names_of_their_makers(folders: Path) -> None:
    from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_flux2_lora_to_diffusers

    model = load(folders / "flux2_klein")
    table, network = LayerTable(model), model.networks["transformer"]
    names = ["img_in", "txt_in", "time_in.in_layer", "time_in.out_layer", "final_layer.linear"]
    names += ["double_stream_modulation_img.lin", "single_stream_modulation.lin"]
    names += ["single_blocks.0.linear1", "single_blocks.0.linear2"]
    for stream in ("img", "txt"):
        layers = (f"{stream}_attn.qkv", f"{stream}_attn.proj", f"{stream}_mlp.0", f"{stream}_mlp.2")
        names += [f"double_blocks.0.{layer}" for layer in layers]
    for name in names:
        found = table.find(LayerName("comfyui", Section.DIFFUSION, name))
        shape = table.shape(found, "weight")
        assert shape is not None, name
        adapter = {f"diffusion_model.{name}.lora_B.weight": torch.zeros(shape[0], 1)}
        converted = _convert_non_diffusers_flux2_lora_to_diffusers(adapter)
        expected = {key.removeprefix("transformer.").removesuffix(".lora_B.weight") for key in converted}
        assert {layer.target.layer for layer in found} == expected
        assert all(network.get_submodule(layer).weight is not None for layer in expected)


def test_a_folder_may_hold_a_variant_alone(folders: Path, tmp_path: Path) -> None:
    partial = tmp_path / "variant"
    shutil.copytree(folders / "z_image", partial)
    for folder in ("transformer", "vae"):  # the text encoder has none
        file = partial / folder / "diffusion_pytorch_model.safetensors"
        file.rename(file.with_suffix(".bf16.safetensors"))
    model = load(partial)
    assert [file.name for file in model.files["transformer"]] == ["diffusion_pytorch_model.bf16.safetensors"]


def test_a_folder_without_its_tokenizer_is_told(folders: Path, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(folders / "z_image", partial)
    shutil.rmtree(partial / "tokenizer")
    with pytest.raises(MissingPart, match="tokenizer/"):
        load(partial)


class TestZImage(ModelFamilyContract):
    name = "diffusers"
    options: ClassVar[dict[str, Any]] = {"text_length": 64}

    def write_checkpoint(self, folder: Path) -> Path:
        from ..tiny_models import diffusers_families

        return diffusers_families.write(diffusers_families.z_image(), folder / "z_image")

    def write_incomplete(self, folder: Path) -> Path:
        whole = self.write_checkpoint(folder)
        shutil.rmtree(whole / "vae")
        return whole

    def write_part(self, folder: Path) -> tuple[str, Path]:
        from ..tiny_models import diffusers_families

        path = folder / "other.safetensors"
        save_file(diffusers_families.z_image().vae.state_dict(), path)
        return "autoencoder", path


class TestModelsDiffusers(PluginContract):
    name = "models_diffusers"
