"""Diffusers' own pipeline with the weights of a tiny Flux."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import Tensor

from sfumato_models_flux import diffusers_keys
from sfumato_networks import diffusers_keys as autoencoder_keys

from .flux import TinyFlux
from .tokenizers import write_clip_tokenizer, write_t5_tokenizer


def flux_pipeline(tiny: TinyFlux, folder: Path, *, dynamic_shift: bool, shift: float = 1.0) -> Any:
    """`FluxPipeline` in float32; ``folder`` receives the tokenizers."""
    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            shift=shift, use_dynamic_shifting=dynamic_shift, base_shift=0.5, max_shift=1.15
        ),
        vae=autoencoder(tiny),
        text_encoder=clip(tiny),
        tokenizer=clip_tokenizer(folder / "clip_l"),
        text_encoder_2=t5(tiny),
        tokenizer_2=t5_tokenizer(folder / "t5xxl"),
        transformer=transformer(tiny),
    )


def transformer(tiny: TinyFlux) -> torch.nn.Module:
    config = tiny.transformer_config
    model = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=config.in_channels,
        num_layers=config.double_blocks,
        num_single_layers=config.single_blocks,
        attention_head_dim=config.head_size,
        num_attention_heads=config.heads,
        joint_attention_dim=config.context_size,
        pooled_projection_dim=config.vector_size,
        guidance_embeds=config.guidance,
        axes_dims_rope=config.axes,
    )
    return with_weights(model, split_for_diffusers(tiny.transformer(), model.state_dict()))


def split_for_diffusers(original: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under diffusers' names, cut from those of the original layout."""
    tensors: dict[str, Tensor] = {}
    for name, source in diffusers_keys.sources(wanted).items():
        stacked = original[name]
        if source.halves_swapped:
            stacked = torch.cat(stacked.chunk(2)[::-1])
        pieces = stacked.split([wanted[part].shape[0] for part in source.names])
        tensors.update(zip(source.names, pieces, strict=True))
    return tensors


def autoencoder(tiny: TinyFlux) -> torch.nn.Module:
    config = tiny.autoencoder_config
    levels = len(config.channel_multipliers)
    model = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[config.base_channels * factor for factor in config.channel_multipliers],
        layers_per_block=config.blocks_per_level,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    )
    wanted, original = model.state_dict(), tiny.autoencoder()
    names = autoencoder_keys.original_names(wanted)
    return with_weights(model, {name: original[names[name]].view(wanted[name].shape) for name in wanted})


def clip(tiny: TinyFlux) -> torch.nn.Module:
    config = tiny.clip_config
    model = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.hidden_size // config.head_size,
            max_position_embeddings=config.positions,
            bos_token_id=config.vocab_size - 2,
            eos_token_id=config.vocab_size - 1,
        )
    )
    names = {
        name: name if name.startswith("text_model.") else f"text_model.{name}" for name in model.state_dict()
    }
    weights = tiny.clip()
    return with_weights(model, {name: weights[ours] for name, ours in names.items() if ours in weights})


def t5(tiny: TinyFlux) -> torch.nn.Module:
    config = tiny.t5_config
    model = transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.width,
            d_ff=config.ff_width,
            d_kv=config.head_size,
            num_layers=config.layers,
            num_heads=config.heads,
            feed_forward_proj="gated-gelu",
        )
    )
    weights = tiny.t5()
    return with_weights(model, {**weights, "encoder.embed_tokens.weight": weights["shared.weight"]})


def with_weights(model: torch.nn.Module, tensors: dict[str, Tensor]) -> torch.nn.Module:
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    assert not [name for name in missing if not name.endswith("position_ids")], missing
    return model.eval()


def clip_tokenizer(folder: Path) -> Any:
    write_clip_tokenizer(folder)
    return transformers.CLIPTokenizer.from_pretrained(folder)


def t5_tokenizer(folder: Path) -> Any:
    write_t5_tokenizer(folder)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
