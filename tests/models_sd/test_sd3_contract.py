"""The SD3 family keeps the contract that all families are held to."""

from __future__ import annotations

from pathlib import Path

from sfumato.testing import ModelFamilyContract

from ..tiny_models.files import save
from ..tiny_models.sd3 import SD35_MEDIUM, TinySD3, write_bare_sd3, write_sd3, write_sd3_parts


class TestSD3(ModelFamilyContract):
    name = "sd3"
    size = (64, 32)

    def write_checkpoint(self, folder: Path) -> Path:
        write_sd3_parts(SD35_MEDIUM, folder)
        return write_sd3(SD35_MEDIUM, folder / "tiny.safetensors", text_encoders=("clip_l", "clip_g"))

    def write_incomplete(self, folder: Path) -> Path:
        return write_bare_sd3(SD35_MEDIUM, folder / "tiny.safetensors")

    def write_part(self, folder: Path) -> tuple[str, Path]:
        path = folder / "vae" / "another.safetensors"
        return "autoencoder", save(path, TinySD3(seed=3).autoencoder())
