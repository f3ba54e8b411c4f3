"""Random models of Stable Diffusion 1.5's layout in every format that people have, with adapters for them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tests.tiny_models import sd, sd_folder
from torch import Tensor

from benchmarks.sdxl_models import library_below
from sfumato.library import ModelLibrary

SMALL_TEXT = sd.TinyText(width=128)
TINY = replace(sd.SD15, clip=SMALL_TEXT, channels=(64, 128), residual_blocks=1)
QUICK = replace(TINY, channels=(128, 256, 512, 512), depths=(1, 1, 1, 0), residual_blocks=2)
STATE = replace(
    QUICK, clip=sd.TinyText(width=768, layers=12, mlp=3072, projection=0), channels=(320, 640, 1280, 1280)
)
"""Stable Diffusion 1.5's own sizes, but for a small autoencoder and vocabulary."""

SIZES = {"tiny": TINY, "quick": QUICK, "state": STATE}
UNET, CLIP, VAE = "model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."
_POOL = 1 << 22
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Stored:
    """A model in one format.

    Attributes:
        name: Of the format, as it is shown.
        path: Of the checkpoint, or of its folder; below it lies a model folder of its own.
        computed: The type that it is computed in on a CPU.
    """

    name: str
    path: Path
    computed: str

    @property
    def root(self) -> Path:
        return self.path.parent.parent

    @property
    def files(self) -> list[Path]:
        """All weights of the model."""
        return sorted(self.root.rglob("*.safetensors")) + sorted(self.root.rglob("*.gguf"))


def write_single_file(tiny: sd.TinySD, folder: Path, dtype: torch.dtype) -> Path:
    path = folder / "checkpoints" / "model.safetensors"
    _save(shapes_of(tiny), path, dtype)
    sd.write_sd_tokenizer(folder / "tokenizers" / "clip_l")
    return path


def write_folder(tiny: sd.TinySD, folder: Path, dtype: torch.dtype) -> Path:
    """As diffusers saves it: its names, one file a part."""
    configs = write_configs(tiny, folder / "checkpoints" / "model")
    parts = {
        "unet/diffusion_pytorch_model": {
            name: tuple(tensor.shape) for name, tensor in _on_meta(tiny, sd.diffusers_unet).items()
        },
        "vae/diffusion_pytorch_model": {
            name: tuple(tensor.shape) for name, tensor in sd.diffusers_autoencoder(tiny).items()
        },
        "text_encoder/model": sd.transformers_shapes(_text(tiny)),
    }
    for name, shapes in parts.items():
        _save(shapes, configs / f"{name}.safetensors", dtype)
    return configs


def write_gguf(tiny: sd.TinySD, folder: Path, type_name: str) -> Path:
    """The UNet's matrices in blocks and its kernels in float16, the other parts beside it in safetensors."""
    import gguf

    from sfumato_quant_gguf.quantisers.quantise import quantise

    path = folder / "diffusion_models" / "model.gguf"
    path.parent.mkdir(parents=True)
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_name]]
    packed, plain = quantise(_pool(torch.float32), type_name), _pool(torch.float16)
    writer = gguf.GGUFWriter(path, "sd1")
    for name, shape in sd.expected_shapes(tiny.unet_config).items():
        numbers = torch.Size(shape).numel()
        if len(shape) == 2 and shape[1] % block == 0:
            data = _repeated(packed, numbers // block * size).view(shape[0], -1)
            writer.add_tensor(UNET + name, data.numpy(), raw_dtype=gguf.GGMLQuantizationType[type_name])
        else:
            half = plain if len(shape) > 1 else plain.float()
            writer.add_tensor(UNET + name, _repeated(half, numbers).view(shape).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    _flush(path)
    _save(
        sd.transformers_shapes(_text(tiny)), folder / "text_encoders" / "clip_l.safetensors", torch.bfloat16
    )
    _save(_vae_shapes(tiny), folder / "vae" / "sd.vae.safetensors", torch.bfloat16)
    sd.write_sd_tokenizer(folder / "tokenizers" / "clip_l")
    return path


FORMATS: Mapping[str, Callable[[sd.TinySD, Path], Stored]] = {
    "safetensors bf16": lambda tiny, folder: Stored(
        "safetensors bf16", write_single_file(tiny, folder, torch.bfloat16), "bfloat16"
    ),
    "safetensors fp16": lambda tiny, folder: Stored(
        "safetensors fp16", write_single_file(tiny, folder, torch.float16), "float32"
    ),
    "safetensors fp32": lambda tiny, folder: Stored(
        "safetensors fp32", write_single_file(tiny, folder, torch.float32), "float32"
    ),
    "diffusers folder bf16": lambda tiny, folder: Stored(
        "diffusers folder bf16", write_folder(tiny, folder, torch.bfloat16), "bfloat16"
    ),
    "GGUF Q8_0": lambda tiny, folder: Stored("GGUF Q8_0", write_gguf(tiny, folder, "Q8_0"), "bfloat16"),
    "GGUF Q4_K": lambda tiny, folder: Stored("GGUF Q4_K", write_gguf(tiny, folder, "Q4_K"), "bfloat16"),
}


def write_configs(tiny: sd.TinySD, folder: Path) -> Path:
    """What diffusers wants beside a single file: a folder without weights."""
    small = replace(tiny, channels=(32, 64), depths=(1, 0), residual_blocks=1)
    sd_folder.write(small, folder)
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    (folder / "unet" / "config.json").write_text(json.dumps(sd_folder.unet_config(tiny)), "utf-8")
    return folder


def write_loras(tiny: sd.TinySD, folder: Path, count: int = 2, rank: int = 16) -> list[Path]:
    """LoRAs for all matrices of the UNet's transformers, as kohya's trainer writes them for this family."""
    from safetensors.torch import save_file

    paths = []
    for number in range(count):
        generator, tensors = torch.Generator().manual_seed(number), {}
        for name, tensor in _on_meta(tiny, sd.diffusers_unet).items():
            layer, shape = name.removesuffix(".weight"), tensor.shape
            if len(shape) != 2 or "transformer_blocks" not in layer or layer == name:
                continue
            stem = f"lora_unet_{layer.replace('.', '_')}"
            for part, size in (("lora_down", (rank, shape[1])), ("lora_up", (shape[0], rank))):
                tensors[f"{stem}.{part}.weight"] = (torch.randn(size, generator=generator) * 0.02).half()
            tensors[f"{stem}.alpha"] = torch.tensor(rank / 2)
        paths.append(folder / "loras" / f"lora{number}.safetensors")
        paths[-1].parent.mkdir(exist_ok=True)
        save_file(tensors, paths[-1])
    return paths


def write_word(tiny: sd.TinySD, folder: Path, seed: int) -> Path:
    """A learned word of eight vectors."""
    from safetensors.torch import save_file

    path = folder / "embeddings" / "smile.safetensors"
    path.parent.mkdir(exist_ok=True)
    vectors = torch.randn(8, _text(tiny).width, generator=torch.Generator().manual_seed(seed))
    save_file({"emb_params": vectors}, path)
    return path


def library_of_all(root: Path) -> ModelLibrary:
    """The model folder as a studio sees it that knows these formats."""
    import sfumato_quant_gguf.plugin

    library = library_below(root)
    registrar = library._registries.weight_formats.registrar("quant_gguf")
    sfumato_quant_gguf.plugin.register_weight_formats(registrar)
    registrar.commit()
    return library


def shapes_of(tiny: sd.TinySD) -> dict[str, tuple[int, ...]]:
    """All tensors of a single file."""
    parts: dict[str, Shapes] = {
        UNET: sd.expected_shapes(tiny.unet_config),
        CLIP: sd.transformers_shapes(_text(tiny)),
        VAE: _vae_shapes(tiny),
    }
    return {prefix + name: shape for prefix, part in parts.items() for name, shape in part.items()}


def _text(tiny: sd.TinySD) -> sd.TinyText:
    assert tiny.clip is not None
    return tiny.clip


def _vae_shapes(tiny: sd.TinySD) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tiny.autoencoder().items()}


def _on_meta(tiny: sd.TinySD, make: Callable[[sd.TinySD], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors under the names that it makes, without their numbers."""

    class Empty(sd.TinySD):
        def unet(self) -> dict[str, Tensor]:
            shapes = sd.expected_shapes(self.unet_config).items()
            return {name: torch.empty(shape, device="meta") for name, shape in shapes}

    values: dict[str, Any] = {name: getattr(tiny, name) for name in tiny.__dataclass_fields__}
    return make(Empty(**values))


def _pool(dtype: torch.dtype) -> Tensor:
    return torch.randn(_POOL, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(dtype)


def _repeated(pool: Tensor, size: int) -> Tensor:
    return pool.repeat(-(-size // pool.numel()))[:size]


def _save(shapes: Shapes, path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import save_file

    pool = _pool(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {n: _repeated(pool, torch.Size(shape).numel()).reshape(shape) for n, shape in shapes.items()}, path
    )
    _flush(path)


def _flush(path: Path) -> None:
    """To the disk: only then can its pages leave the cache."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
