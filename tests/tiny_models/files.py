"""Tiny models in the file layouts that people have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .flux import TinyFlux
from .tokenizers import write_clip_tokenizer, write_t5_tokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def write_transformer(
    tiny: TinyFlux, path: Path, dtype: torch.dtype | None = None, metadata: dict[str, str] | None = None
) -> Path:
    """Only the transformer, as Black Forest Labs publish it."""
    return save(path, tiny.transformer(), dtype, metadata)


def write_all_in_one(
    tiny: TinyFlux, path: Path, dtype: torch.dtype | None = None, metadata: dict[str, str] | None = None
) -> Path:
    """Everything but the tokenizers in one file, as ComfyUI saves checkpoints."""
    parts = {
        "model.diffusion_model.": tiny.transformer(),
        "vae.": tiny.autoencoder(),
        "text_encoders.clip_l.transformer.": tiny.clip(),
        "text_encoders.t5xxl.transformer.": tiny.t5(),
    }
    tensors = {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}
    return save(path, tensors, dtype, metadata)


def write_parts(tiny: TinyFlux, folder: Path, dtype: torch.dtype | None = None) -> None:
    """The other parts in sub-folders of ``folder``, as in ComfyUI's models folder, with tokenizers."""
    save(folder / "vae" / "ae.safetensors", tiny.autoencoder(), dtype)
    save(folder / "text_encoders" / "clip_l.safetensors", tiny.clip(), dtype)
    save(folder / "text_encoders" / "t5xxl_fp16.safetensors", tiny.t5(), dtype)
    write_tokenizers(folder / "tokenizers")


def write_tokenizers(folder: Path) -> None:
    """The sub-folders clip_l and t5xxl."""
    write_clip_tokenizer(folder / "clip_l")
    write_t5_tokenizer(folder / "t5xxl")


def save(
    path: Path,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A safetensors file of these tensors, all in ``dtype`` if given; folders are made."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path
