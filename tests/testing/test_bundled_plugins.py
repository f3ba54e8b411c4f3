"""The bundled plugins keep the contract that all plugins are held to."""

from __future__ import annotations

import json
from pathlib import Path

from sfumato.testing import ModelFamilyContract, PluginContract, WeightFormatContract

from ..tiny_models import TinyFlux, write_parts, write_transformer
from ..tiny_models.files import save

TINY = TinyFlux()


class TestFlux(ModelFamilyContract):
    name = "flux"
    size = (64, 32)

    def write_checkpoint(self, folder: Path) -> Path:
        write_parts(TINY, folder)
        return write_transformer(TINY, folder / "tiny.safetensors")

    def write_incomplete(self, folder: Path) -> Path:
        return write_transformer(TINY, folder / "tiny.safetensors")


class TestSafetensors(WeightFormatContract):
    name = "safetensors"

    def write_file(self, folder: Path) -> Path:
        import torch

        return save(folder / "tiny.safetensors", {"a": torch.ones(2, 3), "b": torch.arange(4.0)})


class TestDiffusersFolder(WeightFormatContract):
    name = "diffusers_folder"

    def write_file(self, folder: Path) -> Path:
        import torch

        (folder / "vae").mkdir()
        (folder / "model_index.json").write_text(json.dumps({"_class_name": "AnyPipeline"}))
        (folder / "vae" / "config.json").write_text(json.dumps({"scaling_factor": 0.5}))
        tensors = {"a": torch.ones(2, 3), "b": torch.arange(4.0)}
        save(folder / "vae" / "diffusion_pytorch_model.safetensors", tensors)
        return folder


class TestEngine(PluginContract):
    name = "engine"


class TestSamplers(PluginContract):
    name = "samplers"


class TestNetworks(PluginContract):
    name = "networks"


class TestModelsFlux(PluginContract):
    name = "models_flux"


class TestModelEmoji(PluginContract):
    name = "model_emoji"


class TestWebInterface(PluginContract):
    name = "ui_web"


class TestGallery(PluginContract):
    name = "gallery"


class TestA1111Api(PluginContract):
    name = "api_a1111"
