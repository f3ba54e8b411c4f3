"""Diffusers' `FluxPipeline` with the weights of a single-file Flux model: the peer of the benchmarks.

Diffusers reads single files of the released widths only, so its modules are built from the sizes found in the
file and filled tensor by tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5EncoderModel
from transformers import T5Config as TransformersT5Config

from sfumato_models_flux import diffusers_keys as flux_keys
from sfumato_models_flux.transformer import FluxConfig
from sfumato_networks import diffusers_keys as autoencoder_keys
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.clip_text import ClipTextConfig
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.safetensors_file import MappedTensors
from sfumato_networks.t5_encoder import T5Config

TRANSFORMER_PREFIX = "model.diffusion_model."


def flux_pipeline(checkpoint: Path) -> FluxPipeline:
    """The pipeline in float32, without a progress bar; tokenizers are looked for beside the checkpoint."""
    opened = MappedTensors(checkpoint)
    parts = {part.kind: part for part in recognise(opened.header)}
    metadata = opened.header.metadata
    tokenizers = checkpoint.parent / "tokenizers"
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=float(metadata.get("sfumato.flow_shift", 1.0))),
        vae=autoencoder(parts[AUTOENCODER], opened, metadata),
        text_encoder=clip(parts[CLIP_TEXT], opened),
        tokenizer=tokenizer(tokenizers / "clip_l" / "tokenizer.json", "<|endoftext|>"),
        text_encoder_2=t5(parts[T5_ENCODER], opened),
        tokenizer_2=tokenizer(tokenizers / "t5xxl" / "tokenizer.json", "<pad>"),
        transformer=transformer(opened),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def transformer(opened: MappedTensors) -> FluxTransformer2DModel:
    stored = {
        name.removeprefix(TRANSFORMER_PREFIX): opened[name]
        for name in opened
        if name.startswith(TRANSFORMER_PREFIX)
    }
    config = FluxConfig.from_shapes({name: tuple(tensor.shape) for name, tensor in stored.items()})
    model = FluxTransformer2DModel(**transformer_sizes(config))
    state = model.state_dict()
    for name, source in flux_keys.sources(state).items():
        sizes = [state[part].shape[0] for part in source.names]
        pieces = stored[name].split(sizes) if not source.halves_swapped else [_swapped(stored[name])]
        state.update(zip(source.names, pieces, strict=True))
    return _filled(model, state)


def transformer_sizes(config: FluxConfig) -> dict[str, Any]:
    """The arguments of diffusers' transformer, which are also its config.json."""
    return {
        "patch_size": 1,
        "in_channels": config.in_channels,
        "num_layers": config.double_blocks,
        "num_single_layers": config.single_blocks,
        "attention_head_dim": config.hidden_size // config.heads,
        "num_attention_heads": config.heads,
        "joint_attention_dim": config.context_size,
        "pooled_projection_dim": config.vector_size,
        "guidance_embeds": config.guidance,
        "axes_dims_rope": tuple(config.axes),
    }


def autoencoder(part: Part, opened: MappedTensors, metadata: Mapping[str, str]) -> AutoencoderKL:
    config = AutoencoderConfig.from_shapes(part.shapes)
    levels = len(config.channel_multipliers)
    model = AutoencoderKL(
        block_out_channels=tuple(config.base_channels * factor for factor in config.channel_multipliers),
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=config.blocks_per_level,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        mid_block_add_attention=config.mid_attention,
        use_quant_conv=config.quant_convolutions,
        use_post_quant_conv=config.quant_convolutions,
        scaling_factor=float(metadata.get("sfumato.latent_scale", 0.3611)),
        shift_factor=float(metadata.get("sfumato.latent_shift", 0.1159)),
    )
    stored = part.tensors(opened)
    state = model.state_dict()
    for name, original in autoencoder_keys.original_names(state).items():
        state[name] = stored[original].reshape(state[name].shape)
    return _filled(model, state)


def clip(part: Part, opened: MappedTensors) -> CLIPTextModel:
    sizes = ClipTextConfig.from_shapes(part.shapes)
    config = CLIPTextConfig(
        vocab_size=sizes.vocab_size,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.hidden_size // sizes.head_size,
        max_position_embeddings=sizes.positions,
        hidden_act=sizes.activation,
        eos_token_id=1,
        bos_token_id=0,
    )
    model = CLIPTextModel(config)
    stored = part.tensors(opened)
    names = model.state_dict().keys()
    return _filled(model, {n: stored[n if n.startswith("text_") else f"text_model.{n}"] for n in names})


def t5(part: Part, opened: MappedTensors) -> T5EncoderModel:
    sizes = T5Config.from_shapes(part.shapes)
    config = TransformersT5Config(
        vocab_size=sizes.vocab_size,
        d_model=sizes.width,
        d_kv=sizes.head_size,
        d_ff=sizes.ff_width,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        feed_forward_proj="gated-gelu",
    )
    model = T5EncoderModel(config)
    stored = part.tensors(opened)
    names = model.state_dict().keys()
    return _filled(model, {n: stored.get(n, stored["shared.weight"]) for n in names})


def tokenizer(file: Path, pad: str) -> PreTrainedTokenizerFast:
    """The tokenizer with the length it was made for; its own padding gives way to the pipeline's."""
    length = json.loads(file.read_text("utf-8"))["truncation"]["max_length"]
    return PreTrainedTokenizerFast(tokenizer_file=str(file), model_max_length=length, pad_token=pad)


def _swapped(tensor: Tensor) -> Tensor:
    return torch.cat(list(reversed(tensor.chunk(2))))


def _filled(model: nn.Module, state: Mapping[str, Tensor]) -> Any:
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model.requires_grad_(False).eval()
