"""A tiny random SD3: its sizes, and its tensors in the layouts of real checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato_models_sd.sd3.config import Sd3Config, expected_shapes

from .files import save
from .flux import TinyFlux, random_tensors
from .sd import TinyText, open_clip_shapes, transformers_shapes, write_sd_tokenizer
from .tokenizers import write_t5_tokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sfumato_networks.autoencoder import AutoencoderConfig
    from sfumato_networks.t5_encoder import T5Config

CLIP_HEAD_SIZE = 8
METADATA = {"sfumato.clip_head_size": str(CLIP_HEAD_SIZE)}
"""Of every file that holds a CLIP: real ones have heads of 64."""
CLIP_L = TinyText(width=24, layers=2, mlp=48, head_size=CLIP_HEAD_SIZE, projection=24)
CLIP_G = TinyText(width=40, layers=3, mlp=80, head_size=CLIP_HEAD_SIZE, projection=40)


@dataclass(frozen=True)
class TinySD3:
    """Sizes of a tiny SD3; the same sizes and seed make the same tensors everywhere."""

    blocks: int = 2
    heads: int = 2
    context_size: int = 96
    positions: int = 10
    qk_norm: bool = False
    dual_blocks: tuple[int, ...] = ()
    seed: int = 0

    @property
    def transformer_config(self) -> Sd3Config:
        width = 64 * self.heads
        return Sd3Config(
            hidden_size=width,
            blocks=self.blocks,
            context_size=self.context_size,
            vector_size=CLIP_L.width + CLIP_G.width,
            mlp_size=4 * width,
            positions=self.positions,
            qk_norm=self.qk_norm,
            dual_blocks=self.dual_blocks,
        )

    @property
    def autoencoder_config(self) -> AutoencoderConfig:
        return self._like_flux.autoencoder_config

    @property
    def t5_config(self) -> T5Config:
        return self._like_flux.t5_config

    def transformer(self) -> dict[str, Tensor]:
        """Stability's names, without a prefix."""
        return random_tensors(expected_shapes(self.transformer_config), self.seed)

    def autoencoder(self) -> dict[str, Tensor]:
        """LDM's names."""
        return self._like_flux.autoencoder()

    def clip_l(self) -> dict[str, Tensor]:
        """The names of transformers' `CLIPTextModelWithProjection`."""
        return random_tensors(transformers_shapes(CLIP_L), self.seed)

    def clip_g(self) -> dict[str, Tensor]:
        """The names of transformers' `CLIPTextModelWithProjection`, as SD3's files have them."""
        return random_tensors(transformers_shapes(CLIP_G), self.seed + 1)

    def t5(self) -> dict[str, Tensor]:
        """The names of transformers' `T5EncoderModel`."""
        return self._like_flux.t5()

    @property
    def _like_flux(self) -> TinyFlux:
        return TinyFlux(context_size=self.context_size, seed=self.seed)


SD3 = TinySD3()
SD35_LARGE = TinySD3(qk_norm=True, blocks=3)
SD35_MEDIUM = TinySD3(qk_norm=True, dual_blocks=(0,))


def write_sd3(
    tiny: TinySD3,
    path: Path,
    dtype: torch.dtype | None = None,
    *,
    text_encoders: tuple[str, ...] = ("clip_l", "clip_g", "t5xxl"),
    vae: bool = True,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A single file as Stability publish it; real ones have all, the CLIPs, or no text encoders inside."""
    texts = {"clip_l": tiny.clip_l, "clip_g": tiny.clip_g, "t5xxl": tiny.t5}
    parts = {"model.diffusion_model.": tiny.transformer()}
    parts |= {f"text_encoders.{name}.transformer.": texts[name]() for name in text_encoders}
    if vae:
        parts["first_stage_model."] = tiny.autoencoder()
    tensors = {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}
    return save(path, tensors, dtype, {**METADATA, **(metadata or {})})


def write_bare_sd3(tiny: TinySD3, path: Path, dtype: torch.dtype | None = None) -> Path:
    """The transformer alone, without a prefix."""
    return save(path, tiny.transformer(), dtype)


def write_sd3_parts(tiny: TinySD3, folder: Path, dtype: torch.dtype | None = None) -> None:
    """The other parts in sub-folders of ``folder``, with tokenizers; CLIP-G as OpenCLIP has it."""
    save(folder / "vae" / "sd3_vae.safetensors", tiny.autoencoder(), dtype)
    save(folder / "text_encoders" / "clip_l.safetensors", tiny.clip_l(), dtype, METADATA)
    open_clip = random_tensors(open_clip_shapes(CLIP_G), tiny.seed + 1)
    save(folder / "text_encoders" / "clip_g.safetensors", open_clip, dtype, METADATA)
    save(folder / "text_encoders" / "t5xxl_fp16.safetensors", tiny.t5(), dtype)
    write_sd3_tokenizers(folder / "tokenizers")


def write_sd3_tokenizers(folder: Path) -> None:
    """The sub-folders clip_l and t5xxl."""
    write_sd_tokenizer(folder / "clip_l")
    write_t5_tokenizer(folder / "t5xxl")
