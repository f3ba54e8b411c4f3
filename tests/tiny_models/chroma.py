"""A tiny random Chroma: its sizes, and the tensors of its parts in the layouts of real checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato_models_flux.chroma.config import ChromaConfig, expected_shapes
from sfumato_models_flux.config import default_axes

from .files import save
from .flux import TinyFlux, random_tensors
from .tokenizers import write_t5_tokenizer

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TinyChroma(TinyFlux):
    """Sizes of a tiny Chroma; its other parts are those of a Flux, less CLIP."""

    @property
    def transformer_config(self) -> ChromaConfig:
        return ChromaConfig(
            in_channels=4 * self.latent_channels,
            hidden_size=self.heads * self.head_size,
            heads=self.heads,
            double_blocks=self.double_blocks,
            single_blocks=self.single_blocks,
            context_size=self.context_size,
            axes=default_axes(self.head_size),
            approximator_features=16,
            approximator_size=48,
            approximator_layers=2,
        )

    def transformer(self) -> dict[str, Tensor]:
        """The original names."""
        return random_tensors(expected_shapes(self.transformer_config), self.seed)


def write_chroma(tiny: TinyChroma, path: Path) -> Path:
    """Only the transformer, as it is published."""
    return save(path, tiny.transformer())


def write_chroma_parts(tiny: TinyChroma, folder: Path) -> None:
    """The other parts in sub-folders of ``folder``, as in ComfyUI's models folder, with the tokenizer."""
    save(folder / "vae" / "ae.safetensors", tiny.autoencoder())
    save(folder / "text_encoders" / "t5xxl_fp16.safetensors", tiny.t5())
    write_t5_tokenizer(folder / "tokenizers" / "t5xxl")


def write_chroma_all_in_one(tiny: TinyChroma, path: Path) -> Path:
    """Everything but the tokenizer in one file, as ComfyUI saves checkpoints."""
    parts = {
        "model.diffusion_model.": tiny.transformer(),
        "vae.": tiny.autoencoder(),
        "text_encoders.t5xxl.transformer.": tiny.t5(),
    }
    return save(path, {prefix + name: t for prefix, part in parts.items() for name, t in part.items()})
