"""Diffusers' own pipeline with the weights of a Flux of ours: the oracle for pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import diffusers
import torch
import transformers
from torch import Tensor

from sfumato_models_flux import diffusers_keys
from sfumato_networks import diffusers_keys as autoencoder_keys

from .tokenizers import END, START

if TYPE_CHECKING:
    from sfumato_models_flux.config import FluxConfig
    from sfumato_networks.autoencoder import AutoencoderConfig
    from sfumato_networks.clip_text import ClipTextConfig
    from sfumato_networks.t5_encoder import T5Config


class FluxSource(Protocol):
    """Sizes and tensors of a Flux model, each part under the names of its usual checkpoint."""

    @property
    def transformer_config(self) -> FluxConfig: ...
    @property
    def autoencoder_config(self) -> AutoencoderConfig: ...
    @property
    def clip_config(self) -> ClipTextConfig: ...
    @property
    def t5_config(self) -> T5Config: ...
    def transformer(self) -> dict[str, Tensor]: ...
    def autoencoder(self) -> dict[str, Tensor]: ...
    def clip(self) -> dict[str, Tensor]: ...
    def t5(self) -> dict[str, Tensor]: ...


def flux_pipeline(
    source: FluxSource,
    tokenizers: Path,
    *,
    shift: float | None = None,
    scaling: tuple[float, float] = (0.3611, 0.1159),
) -> Any:
    """`FluxPipeline` in float32.

    Args:
        tokenizers: The folder with clip_l/ and t5xxl/.
        shift: A static time shift; None for the one that grows with the picture.
        scaling: Scale and shift of the latents.
    """
    words = clip_tokenizer(tokenizers / "clip_l")
    pipeline = diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            shift=shift or 3.0, use_dynamic_shifting=shift is None, base_shift=0.5, max_shift=1.15
        ),
        vae=autoencoder(source, scaling),
        text_encoder=clip(source, words.bos_token_id, words.eos_token_id),
        tokenizer=words,
        text_encoder_2=t5(source),
        tokenizer_2=t5_tokenizer(tokenizers / "t5xxl"),
        transformer=transformer(source),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def transformer(source: FluxSource) -> torch.nn.Module:
    config = source.transformer_config
    model = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        num_layers=config.double_blocks,
        num_single_layers=config.single_blocks,
        attention_head_dim=config.head_size,
        num_attention_heads=config.heads,
        joint_attention_dim=config.context_size,
        pooled_projection_dim=config.vector_size,
        guidance_embeds=config.guidance,
        axes_dims_rope=config.axes,
    )
    return with_weights(model, split_for_diffusers(source.transformer(), model.state_dict()))


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


def autoencoder(source: FluxSource, scaling: tuple[float, float]) -> torch.nn.Module:
    config = source.autoencoder_config
    levels = len(config.channel_multipliers)
    model = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[config.base_channels * factor for factor in config.channel_multipliers],
        layers_per_block=config.blocks_per_level,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        mid_block_add_attention=config.mid_attention,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=scaling[0],
        shift_factor=scaling[1],
    )
    wanted, original = model.state_dict(), source.autoencoder()
    names = autoencoder_keys.original_names(wanted)
    return with_weights(model, {name: original[names[name]].view(wanted[name].shape) for name in wanted})


def clip(source: FluxSource, start: int, end: int) -> torch.nn.Module:
    config = source.clip_config
    model = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.hidden_size // config.head_size,
            max_position_embeddings=config.positions,
            bos_token_id=start,
            eos_token_id=end,
        )
    )
    names = {
        name: name if name.startswith("text_model.") else f"text_model.{name}" for name in model.state_dict()
    }
    weights = source.clip()
    return with_weights(model, {name: weights[ours] for name, ours in names.items() if ours in weights})


def t5(source: FluxSource) -> torch.nn.Module:
    config = source.t5_config
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
    weights = source.t5()
    return with_weights(model, {**weights, "encoder.embed_tokens.weight": weights["shared.weight"]})


def with_weights(model: torch.nn.Module, tensors: dict[str, Tensor]) -> torch.nn.Module:
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    assert not [name for name in missing if not name.endswith("position_ids")], missing
    return model.eval()


def clip_tokenizer(folder: Path) -> Any:
    if (folder / "vocab.json").exists():
        return transformers.CLIPTokenizer.from_pretrained(folder)
    return _from_json(folder / "tokenizer.json", bos_token=START, eos_token=END, unk_token=END, pad_token=END)


def t5_tokenizer(folder: Path) -> Any:
    return _from_json(folder / "tokenizer.json", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


def _from_json(file: Path, **tokens: str) -> Any:
    length = (json.loads(file.read_text(encoding="utf-8"))["truncation"] or {}).get("max_length")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(file), model_max_length=length or 512, **tokens
    )
