"""A tiny Flux beside folders of LoRAs and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.adapters import AdapterUse
from sfumato.models import Placement
from sfumato.tasks import TaskContext
from sfumato_adapters.lora import AppliedLoras, LoraKind
from sfumato_adapters.settings import AdapterSettings
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.model import FluxModel

from ..tiny_models import TinyFlux, library_of, write_all_in_one, write_tokenizers
from .adapter_files import lora_of

PREFIXES = {"transformer": "lora_unet", "clip_text": "lora_te1", "t5_encoder": "lora_te2"}


@pytest.fixture(scope="session")
def flux_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux")
    write_tokenizers(folder / "tokenizers")
    write_all_in_one(TinyFlux(), folder / "all.safetensors")
    return folder


def load_flux(folder: Path, dtype: str = "float32") -> FluxModel:
    library = library_of(folder)
    return FluxFamily().load(library.detect(folder / "all.safetensors"), library, Placement(dtype=dtype))


@dataclass
class Workbench:
    """A model, a folder of adapters, and the kind that applies them."""

    folder: Path
    model: FluxModel
    kind: LoraKind = field(default_factory=LoraKind)
    settings: AdapterSettings = AdapterSettings()  # noqa: RUF009 - frozen

    @property
    def context(self) -> TaskContext:
        library = library_of(self.folder)
        settings = SimpleNamespace(adapters=self.settings)
        return TaskContext(library._registries, library, settings, self.folder / "out")

    def write(
        self,
        name: str,
        parts: Sequence[str] = ("transformer", "clip_text"),
        folder: str = "loras",
        metadata: Mapping[str, str] | None = None,
        wanted: Callable[[str], bool] = lambda path: True,
        **numbers: Any,
    ) -> Path:
        """A LoRA for the linear layers of these parts, in kohya's names; the name seeds its numbers."""
        layers = {
            f"{PREFIXES[part]}_{path.replace('.', '_')}": (module.out_features, module.in_features)
            for part in parts
            for path, module in self.model.networks[part].named_modules()
            if isinstance(module, nn.Linear) and wanted(path)
        }
        seed = sum(map(ord, name))
        tensors = {
            key: tensor.clone() if key.endswith("alpha") else 0.2 * tensor.roll(seed)
            for key, tensor in lora_of(layers, **numbers).items()
        }
        return self.save(name, tensors, folder, metadata)

    def save(
        self,
        name: str,
        tensors: Mapping[str, Tensor],
        folder: str = "loras",
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        path = self.folder / folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(tensors), path, dict(metadata or {}))
        return path

    def apply(self, *tags: str) -> AppliedLoras:
        """``"a:0.5:stop=3"`` stands for the tag ``<lora:a:0.5:stop=3>``."""
        return self.kind.apply(self.model, [use_of(tag) for tag in tags], self.context)

    def velocity(self) -> Tensor:
        """What the model makes of fixed latents and a fixed prompt's state."""
        latents = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(5))
        if not hasattr(self, "_prompt"):
            self._prompt = self.prompt()
        return self.model.denoise(latents, 0.7, [self._prompt], {})

    def prompt(self) -> Any:
        from sfumato.models import PromptText

        return self.model.condition(PromptText(((("a red apple", 1.0),),)), {"t5_length": 16})


def use_of(tag: str) -> AdapterUse:
    name, *rest = tag.split(":")
    options = dict(item.split("=") for item in rest if "=" in item)
    return AdapterUse("lora", name, tuple(i for i in rest if "=" not in i), options, f"<lora:{tag}>")


@pytest.fixture
def workbench(tmp_path: Path, flux_folder: Path) -> Workbench:
    return Workbench(tmp_path, load_flux(flux_folder))
