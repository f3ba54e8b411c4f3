"""Diffusers' own pipeline with the weights of a tiny SD3 of ours: the oracle for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import Tensor

from sfumato_models_sd.sd3.diffusers_keys import sources

from .oracle import autoencoder, clip_tokenizer, t5, t5_tokenizer, with_weights
from .sd import TinyText, write_sd_tokenizer
from .sd3 import CLIP_G, CLIP_L, TinySD3
from .tokenizers import clip_vocabulary, write_t5_tokenizer

SCALING = (1.5305, 0.0609)


def sd3_pipeline(tiny: TinySD3, folder: Path, *, with_t5: bool = True) -> Any:
    """`StableDiffusion3Pipeline` in float32; its tokenizers are written into ``folder``."""
    write_sd_tokenizer(folder / "clip_l")
    write_sd_tokenizer(folder / "clip_g", pad=clip_vocabulary()[0])  # OpenCLIP's fill up with token 0
    write_t5_tokenizer(folder / "t5xxl")
    words, other_words = clip_tokenizer(folder / "clip_l"), clip_tokenizer(folder / "clip_g")
    pipeline = diffusers.StableDiffusion3Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(tiny, SCALING),  # type: ignore[arg-type]
        text_encoder=_clip(CLIP_L, tiny.clip_l(), words, "quick_gelu"),
        tokenizer=words,
        text_encoder_2=_clip(CLIP_G, tiny.clip_g(), other_words, "gelu"),
        tokenizer_2=other_words,
        text_encoder_3=t5(tiny) if with_t5 else None,  # type: ignore[arg-type]
        tokenizer_3=t5_tokenizer(folder / "t5xxl") if with_t5 else None,
        transformer=transformer(tiny),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def transformer(tiny: TinySD3) -> torch.nn.Module:
    config = tiny.transformer_config
    model = diffusers.SD3Transformer2DModel(
        sample_size=config.positions,
        num_layers=config.blocks,
        attention_head_dim=config.head_size,
        num_attention_heads=config.heads,
        joint_attention_dim=config.context_size,
        caption_projection_dim=config.hidden_size,
        pooled_projection_dim=config.vector_size,
        pos_embed_max_size=config.positions,
        dual_attention_layers=config.dual_blocks,
        qk_norm="rms_norm" if config.qk_norm else None,
    )
    return with_weights(model, split_for_diffusers(tiny.transformer(), model.state_dict()))


def split_for_diffusers(original: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under diffusers' names, cut from those of the original layout."""
    tensors: dict[str, Tensor] = {}
    for name, source in sources(wanted).items():
        stacked = original[name]
        if source.halves_swapped:
            stacked = torch.cat(stacked.chunk(2)[::-1])
        pieces = stacked.split([wanted[part].shape[0] for part in source.names])
        tensors.update(zip(source.names, (piece.contiguous() for piece in pieces), strict=True))
    return tensors


def _clip(sizes: TinyText, tensors: dict[str, Tensor], words: Any, activation: str) -> torch.nn.Module:
    model = transformers.CLIPTextModelWithProjection(
        transformers.CLIPTextConfig(
            vocab_size=len(clip_vocabulary()),
            hidden_size=sizes.width,
            intermediate_size=sizes.mlp,
            projection_dim=sizes.projection,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.width // sizes.head_size,
            max_position_embeddings=77,
            hidden_act=activation,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
        )
    )
    return with_weights(model, tensors)
