"""The plugin and everything that it registers keep the contracts that all plugins are held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.testing import PluginContract, UpscalerContract
from sfumato.testing.entries import Installation
from sfumato_upscalers.plugin import LATENT_MODES, RESAMPLERS

from .networks import compact, write


class TestPlugin(PluginContract):
    name = "upscalers"


class TestUpscalers(UpscalerContract):
    @pytest.fixture(scope="class", params=[*RESAMPLERS, *LATENT_MODES, "spandrel"])
    @classmethod
    def entry(cls, request: pytest.FixtureRequest, installation: Installation):
        return installation.registries.upscalers.get(request.param)

    def write_file(self, folder: Path) -> Path:
        return write(compact(), folder / "tiny.safetensors")
