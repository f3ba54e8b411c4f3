"""Random SDXL-layout models of various sizes: written as single files, and loaded as a studio loads them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tests.tiny_models import sd, sd_folder
from tests.tiny_models.library import library_of
from torch import Tensor

from sfumato.library import ModelLibrary
from sfumato.models import Placement
from sfumato.registries import Registries

SMALL = replace(
    sd.SDXL,
    clip=sd.TinyText(width=128, layers=2),
    open_clip=sd.TinyText(width=512, layers=2, projection=512),
    channels=(64, 128, 256),
    depths=(0, 1, 2),
)
"""About 23 M weights."""
MEDIUM = replace(SMALL, channels=(128, 256, 512), depths=(0, 1, 3), residual_blocks=2)
"""About 169 M weights."""
WIDE = replace(SMALL, channels=(320, 640, 1280))
"""The widths of SDXL in fewer blocks."""
LARGE = replace(
    WIDE,
    clip=sd.TinyText(width=768, layers=6, mlp=3072),
    open_clip=sd.TinyText(width=1280, layers=8, mlp=5120, projection=1280),
    residual_blocks=2,
)
"""About 1,050 M weights: 2.1 GB in two bytes each."""

SIZES = {"tiny": SMALL, "quick": MEDIUM, "state": LARGE}
COMPUTED = {"bfloat16": "bfloat16", "float16": "float32"}
"""What is computed in on a CPU, by what is stored."""


def write_checkpoint(tiny: sd.TinySD, path: Path, dtype: torch.dtype) -> None:
    """A single file in the original layout, of random weights, and its tokenizer where the library looks."""
    from safetensors.torch import save_file

    pool = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(dtype)

    def filled(shape: tuple[int, ...]) -> Tensor:
        size = torch.Size(shape).numel()
        return pool.repeat(-(-size // pool.numel()))[:size].reshape(shape)

    path.parent.mkdir(parents=True)
    save_file({name: filled(shape) for name, shape in shapes_of(tiny).items()}, path)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    sd.write_sd_tokenizer(path.parent.parent / "tokenizers" / "clip_l")


def shapes_of(tiny: sd.TinySD) -> dict[str, tuple[int, ...]]:
    """All tensors of a single file."""
    from sfumato_models_sd.config import expected_shapes

    assert tiny.clip is not None
    assert tiny.open_clip is not None
    parts = {
        "model.diffusion_model.": expected_shapes(tiny.unet_config),
        "conditioner.embedders.0.transformer.": sd.transformers_shapes(tiny.clip),
        "conditioner.embedders.1.model.": sd.open_clip_shapes(tiny.open_clip),
        "first_stage_model.": {name: tuple(tensor.shape) for name, tensor in tiny.autoencoder().items()},
    }
    return {prefix + name: shape for prefix, part in parts.items() for name, shape in part.items()}


def write_configs(tiny: sd.TinySD, folder: Path) -> None:
    """Below ``folder``/configs, what diffusers wants beside a single file: a folder without weights."""
    small = replace(tiny, channels=(32, 64, 64), depths=(0, 1, 1), residual_blocks=1)
    configs = sd_folder.write(small, folder / "configs")
    for weights in configs.rglob("*.safetensors"):
        weights.unlink()
    (configs / "unet" / "config.json").write_text(json.dumps(sd_folder.unet_config(tiny)), "utf-8")


def library_below(folder: Path) -> ModelLibrary:
    """The models below a folder, known by the families that draw with UNets."""
    import sfumato_models_sd.plugin

    registries = Registries()
    registrar = registries.model_families.registrar("models_sd")
    sfumato_models_sd.plugin.register_model_families(registrar)
    registrar.commit()
    return library_of(folder, registries=registries)


def load_model(file: Path, dtype: str) -> Any:
    """The model of a file in ``checkpoints`` of a model folder, from its header on."""
    from sfumato_models_sd.family import SdFamily

    library, family = library_below(file.parent.parent), SdFamily()
    info = family.detect(library.header(file))
    if info is None:
        raise ValueError("the checkpoint was not recognised")
    return family.load(info, library, Placement(device="cpu", dtype=dtype))


def managed(files: list[Path], keep: int, dtype: str) -> Callable[[Path], Any]:
    """How the engine hands out models, of which it keeps so many."""
    from sfumato_engine.model_manager import ModelManager
    from sfumato_models_sd.family import SdFamily

    library, family, manager = library_below(files[0].parent.parent), SdFamily(), ModelManager()
    manager.models.capacity = keep
    infos = {file: family.detect(library.header(file)) for file in files}
    placement = Placement(device="cpu", dtype=dtype)

    def hand_out(file: Path) -> Any:
        info = infos[file]
        if info is None:
            raise ValueError("the checkpoint was not recognised")
        return manager.load(info, family, placement, library)

    return hand_out
