"""LoRAs keep the contract of adapters; one that leaves traces does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from sfumato.adapters import AdapterUse
from sfumato.models import LoadedModel
from sfumato.tasks import TaskContext
from sfumato.testing import AdapterContract, PluginContract
from sfumato_adapters.lora import AppliedLoras, LoraKind

from ..tiny_models import TinyFlux, write_all_in_one, write_tokenizers
from .adapter_files import lora_of
from .conftest import Workbench, load_flux

STEMS = {"lora_unet_img_in": (64, 64), "lora_unet_final_layer_linear": (64, 64)}


class TestAdapters(PluginContract):
    name = "adapters"


class TestLora(AdapterContract):
    name = "lora"
    uses = (AdapterUse("lora", "one"), AdapterUse("lora", "two", ("0.5", "1@0,0@1")))

    def write_files(self, folder: Path) -> Path:
        from safetensors.torch import save_file

        write_tokenizers(folder / "tokenizers")
        (folder / "loras").mkdir()
        for name, rank in (("one", 2), ("two", 3)):
            save_file(lora_of(STEMS, rank=rank), folder / "loras" / f"{name}.safetensors")
        return write_all_in_one(TinyFlux(), folder / "tiny.safetensors")


class Drifting(LoraKind):
    """Takes back what it added by subtraction, and not all of it."""

    def apply(self, model: LoadedModel, uses: Sequence[AdapterUse], context: TaskContext) -> AppliedLoras:
        applied = super().apply(model, uses, context)
        with torch.no_grad():
            model.networks["transformer"].img_in.bias += 1e-6
        return applied


@pytest.mark.parametrize(
    "test",
    [
        TestLora.test_each_use_changes_the_picture_and_none_leaves_the_model_as_loaded,
        TestLora.test_the_same_set_gives_the_same_bits_whatever_came_before,
    ],
)
@pytest.mark.parametrize(("kind", "keeps"), [(LoraKind, True), (Drifting, False)])
def test_one_that_leaves_traces_is_caught(
    workbench: Workbench,
    test: Callable[..., None],
    kind: type[LoraKind],
    keeps: bool,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    TestLora().write_files(folder)
    shutil.copytree(folder / "loras", workbench.folder / "loras")
    (folder / "tiny.safetensors").rename(folder / "all.safetensors")
    model = load_flux(folder)
    if keeps:
        return test(TestLora(), kind(), model, workbench.context)
    with pytest.raises(AssertionError):
        test(TestLora(), kind(), model, workbench.context)
