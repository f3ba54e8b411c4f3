"""LoRA and LoCon on a tiny SDXL: convolutions, and text encoders whose attention is one fused layer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.models import LayerTarget, Placement, PromptText
from sfumato.registries import Registries
from sfumato_adapters.lora import LoraKind
from sfumato_adapters.settings import AdapterSettings
from sfumato_models_sd import plugin as models_sd

from ..tiny_models import library_of
from ..tiny_models.sd import write_sdxl
from .adapter_files import random
from .conftest import Workbench

PREFIXES = {"unet": "lora_unet", "clip_text": "lora_te1", "clip_g_text": "lora_te2"}


def registries_with_sd() -> Registries:
    registries = Registries()
    registrar = registries.model_families.registrar("models_sd")
    models_sd.register_model_families(registrar)
    registrar.commit()
    return registries


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder = tmp_path_factory.mktemp("sdxl")
    registries = registries_with_sd()
    library = library_of(folder, registries=registries)
    info = library.detect(write_sdxl(folder))
    family = registries.model_families.get(info.family).load()()
    return Workbench(folder, family.load(info, library, Placement(dtype="float32")), LoraKind())


def locon_of(bench: Workbench, part: str, rank: int = 2) -> dict[str, Tensor]:
    """Changes of every linear layer and convolution, fused ones piece by piece as diffusers names them."""
    tensors = {}
    network = bench.model.networks[part]
    for target, name in one_name_each(bench.model.layer_names(part)).items():
        module = network.get_submodule(target.layer)
        weight = module.weight
        if isinstance(module, nn.Embedding) or weight.ndim not in (2, 4):
            continue
        start, end = target.rows or (0, len(weight))
        stem = f"{PREFIXES[part]}_{name.replace('.', '_')}"
        kernel = weight.shape[2:]
        tensors[f"{stem}.lora_down.weight"] = 0.3 * random(f"{stem} down", rank, *weight.shape[1:])
        tensors[f"{stem}.lora_up.weight"] = 0.3 * random(
            f"{stem} up", end - start, rank, *(1 for _ in kernel)
        )
        tensors[f"{stem}.alpha"] = torch.tensor(1.0)
    return tensors


def one_name_each(names: Mapping[str, LayerTarget]) -> dict[LayerTarget, str]:
    """Of the names of a layer the longest; fused layers by their pieces."""
    fused = {target.layer for target in names.values() if target.rows}
    ordered = sorted(names, key=len)
    return {names[name]: name for name in ordered if names[name].rows or names[name].layer not in fused}


def drawn(bench: Workbench) -> Tensor:
    prompt = bench.model.condition(PromptText(((("a red apple", 1.0),),)), {})
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    return bench.model.denoise(latents, 3.0, [prompt], {})


@pytest.mark.parametrize(("part", "strength"), [("unet", 0.2), ("clip_text", 1), ("clip_g_text", 1)])
def test_merged_and_on_the_fly_a_locon_draws_the_same_and_leaves_no_trace(
    sdxl: Workbench, part: str, strength: float
) -> None:
    (sdxl.folder / "loras").mkdir(exist_ok=True)
    tensors = locon_of(sdxl, part)
    save_file(tensors, sdxl.folder / "loras" / f"{part}.safetensors")
    plain = drawn(sdxl)
    found = {}
    for how in ("merge", "on_the_fly"):
        sdxl.settings = AdapterSettings(how=how)
        applied = sdxl.apply(f"{part}:{strength}")
        assert applied.notes == []
        assert applied.reports[0].layers.keys() == {part}
        found[how] = drawn(sdxl)
    assert not torch.allclose(found["merge"], plain, atol=1e-2)
    torch.testing.assert_close(found["merge"], found["on_the_fly"], rtol=1e-3, atol=1e-3)
    sdxl.apply()
    assert drawn(sdxl).equal(plain)
