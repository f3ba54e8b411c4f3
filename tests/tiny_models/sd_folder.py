"""Tiny Stable Diffusion models as diffusers folders: tensors and configs as diffusers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import save
from .sd import (
    CLIP_POSITIONS,
    SIZE_FEATURES,
    TinySD,
    TinyText,
    diffusers_autoencoder,
    diffusers_unet,
    from_open_clip,
    write_sd_tokenizer,
)
from .tokenizers import END, START, clip_vocabulary

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FIRST_TOKEN = "a"
"""What SD 2's and SDXL's second tokenizer pad with: the token of id 0."""


def write(tiny: TinySD, folder: Path, dtype: torch.dtype | None = None) -> Path:
    """Write the folder; returns it."""
    weights = "diffusion_pytorch_model.safetensors"
    save(folder / "unet" / weights, diffusers_unet(tiny), dtype)
    save(folder / "vae" / weights, diffusers_autoencoder(tiny), dtype)
    _write_json(folder / "unet" / "config.json", unet_config(tiny))
    _write_json(folder / "vae" / "config.json", vae_config(tiny))
    _write_json(folder / "scheduler" / "scheduler_config.json", scheduler_config(tiny))
    index = model_index(tiny)
    for part, text, tensors, act in _texts(tiny):
        projected = part == "text_encoder_2"
        save(folder / part / "model.safetensors", tensors, dtype)
        _write_json(folder / part / "config.json", text_config(text, act, projected=projected))
        index[part] = ["transformers", "CLIPTextModelWithProjection" if projected else "CLIPTextModel"]
        tokenizer = part.replace("text_encoder", "tokenizer")
        write_sd_tokenizer(folder / tokenizer, FIRST_TOKEN if act == "gelu" else None)
        index[tokenizer] = ["transformers", "CLIPTokenizer"]
    _write_json(folder / "model_index.json", index)
    return folder


def _texts(tiny: TinySD) -> list[tuple[str, TinyText, dict[str, Tensor], str]]:
    """The folder of each text encoder, its sizes, tensors and activation."""
    found = []
    if tiny.clip:
        found.append(("text_encoder", tiny.clip, tiny.clip_text(), "quick_gelu"))
    if text := tiny.open_clip:
        # Of SD 2's text encoder the last layer is never used: diffusers leaves it out.
        part, layers = ("text_encoder_2", text.layers) if tiny.is_xl else ("text_encoder", text.layers - 1)
        tensors = from_open_clip(tiny.open_clip_text(), layers, projection=tiny.is_xl)
        found.append((part, text, tensors, "gelu"))
    return found


def model_index(tiny: TinySD) -> dict[str, Any]:
    inpaint = tiny.in_channels == 9
    if not tiny.is_xl:
        name = "StableDiffusionInpaintPipeline" if inpaint else "StableDiffusionPipeline"
        plain: dict[str, Any] = {"feature_extractor": [None, None], "safety_checker": [None, None]}
    else:
        name = "StableDiffusionXLInpaintPipeline" if inpaint else "StableDiffusionXLPipeline"
        plain = {"force_zeros_for_empty_prompt": tiny.clip is not None}
        if tiny.clip is None:
            name = "StableDiffusionXLImg2ImgPipeline"
            plain |= {"requires_aesthetics_score": True}
            plain |= {"text_encoder": [None, None], "tokenizer": [None, None]}
    return {
        "_class_name": name,
        "_diffusers_version": "0.30.0",
        **plain,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def unet_config(tiny: TinySD) -> dict[str, Any]:
    """What makes a `UNet2DConditionModel` of these sizes."""
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in tiny.depths]
    up = ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(tiny.depths)]
    heads: Any = [width // 64 or 1 for width in tiny.channels] if tiny.linear_projection else 8
    config = {
        "_class_name": "UNet2DConditionModel",
        "in_channels": tiny.in_channels,
        "out_channels": 4,
        "block_out_channels": list(tiny.channels),
        "layers_per_block": tiny.residual_blocks,
        "transformer_layers_per_block": [depth or max(tiny.depths) for depth in tiny.depths],
        "down_block_types": down,
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "up_block_types": up,
        "cross_attention_dim": tiny.context_size,
        "attention_head_dim": heads,
        "use_linear_projection": tiny.linear_projection,
        "sample_size": 8,
    }
    if tiny.is_xl:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": SIZE_FEATURES,
            "projection_class_embeddings_input_dim": tiny.label_size,
        }
    return config


def vae_config(tiny: TinySD) -> dict[str, Any]:
    """What makes an `AutoencoderKL` of these sizes."""
    sizes = tiny.autoencoder_config
    levels = len(sizes.channel_multipliers)
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [sizes.base_channels * factor for factor in sizes.channel_multipliers],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": sizes.blocks_per_level,
        "latent_channels": sizes.latent_channels,
        "norm_num_groups": sizes.norm_groups,
        "scaling_factor": tiny.latent_scale,
        "force_upcast": False,
        "sample_size": 64,
    }


def scheduler_config(tiny: TinySD) -> dict[str, Any]:
    config: dict[str, Any] = {
        "_class_name": "EulerDiscreteScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": tiny.prediction,
        "steps_offset": 1,
        "timestep_spacing": "trailing" if tiny.zero_snr else "leading",
    }
    return config | ({"rescale_betas_zero_snr": True} if tiny.zero_snr else {})


def text_config(text: TinyText, activation: str, *, projected: bool) -> dict[str, Any]:
    """What makes a `CLIPTextModel` or `CLIPTextModelWithProjection` of these sizes."""
    words = clip_vocabulary()
    layers = text.layers if projected or activation == "quick_gelu" else text.layers - 1
    return {
        "architectures": ["CLIPTextModelWithProjection" if projected else "CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": len(words),
        "hidden_size": text.width,
        "intermediate_size": text.mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": text.width // text.head_size,
        "max_position_embeddings": CLIP_POSITIONS,
        "hidden_act": activation,
        "projection_dim": text.projection or text.width,
        "bos_token_id": words.index(START),
        "eos_token_id": words.index(END),
        "pad_token_id": words.index(END) if activation == "quick_gelu" else 0,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
