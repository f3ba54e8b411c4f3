"""Every kind of Stable Diffusion with a UNet keeps the contract of model families."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sfumato.testing import ModelFamilyContract

from ..tiny_models import sd


class SdContract(ModelFamilyContract):
    """What all of them share; the classes below bring one for each text side, prediction and input."""

    name: ClassVar[str] = "sd"
    tiny: ClassVar[sd.TinySD]

    def write_checkpoint(self, folder: Path) -> Path:
        return sd.write_single_file(self.tiny, folder, "model", inside="")

    def write_incomplete(self, folder: Path) -> Path:
        return sd.write_single_file(self.tiny, folder, "model", inside="", vae=False)

    def write_part(self, folder: Path) -> tuple[str, Path]:
        return "autoencoder", sd.write_vae(self.tiny, folder)


class TestSd15(SdContract):
    tiny = sd.SD15


class TestSd21V(SdContract):
    tiny = sd.SD21_V


class TestSdxlV(SdContract):
    tiny = sd.SDXL_V


class TestSdxlInpaint(SdContract):
    tiny = sd.SDXL_INPAINT


class TestRefiner(SdContract):
    tiny = sd.REFINER


class TestFolder(SdContract):
    """A diffusers folder."""

    tiny = sd.SDXL

    def write_checkpoint(self, folder: Path) -> Path:
        return sd.write_folder(self.tiny, folder / "model")

    def write_incomplete(self, folder: Path) -> Path:
        path = self.write_checkpoint(folder)
        (path / "vae" / "diffusion_pytorch_model.safetensors").unlink()
        return path
