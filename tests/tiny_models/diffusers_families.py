"""Tiny random pipelines of diffusers' newer families, made by diffusers itself, and their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

END, START, OF_MESSAGE = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_image() -> Any:
    """`QwenImagePipeline`, with the scheduler of the published model."""
    tokenizer = byte_tokenizer()
    return prepared(
        diffusers.QwenImagePipeline,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            base_image_seq_len=256,
            max_image_seq_len=8192,
            base_shift=0.5,
            max_shift=0.9,
            shift=1.0,
            shift_terminal=0.02,
            use_dynamic_shifting=True,
        ),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.0, 0.3],
            latents_std=[1.1, 0.9, 1.3, 0.8],
        ),
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(
            transformers.Qwen2_5_VLConfig(
                text_config=text_sizes(tokenizer, mrope=True),
                vision_config={
                    "depth": 1,
                    "hidden_size": 16,
                    "intermediate_size": 16,
                    "num_heads": 2,
                    "out_hidden_size": 16,
                },
            )
        ),
        tokenizer=tokenizer,
        transformer=diffusers.QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
        ),
    )


def z_image(shift: float = 3.0) -> Any:
    """`ZImagePipeline`; a shift of 3 is Turbo's, one of 6 the base model's."""
    tokenizer = byte_tokenizer()
    return prepared(
        diffusers.ZImagePipeline,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=autoencoder(),
        text_encoder=transformers.Qwen3Model(transformers.Qwen3Config(**text_sizes(tokenizer))),
        tokenizer=tokenizer,
        transformer=diffusers.ZImageTransformer2DModel(
            all_patch_size=(2,),
            all_f_patch_size=(1,),
            in_channels=4,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[8, 4, 4],
            axes_lens=[256, 32, 32],
        ),
    )


def flux2_klein() -> Any:
    """`Flux2KleinPipeline`, distilled; its text encoder has the 27 layers that it takes states from."""
    tokenizer = byte_tokenizer()
    pipeline = prepared(
        diffusers.Flux2KleinPipeline,
        is_distilled=True,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=diffusers.AutoencoderKLFlux2(
            block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4
        ),
        text_encoder=transformers.Qwen3ForCausalLM(
            transformers.Qwen3Config(**text_sizes(tokenizer, layers=28))
        ),
        tokenizer=tokenizer,
        transformer=diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
    )
    pipeline.vae.bn.running_mean.copy_(torch.linspace(-0.3, 0.3, 16))
    pipeline.vae.bn.running_var.copy_(torch.linspace(0.5, 1.5, 16))
    return pipeline


def lumina2() -> Any:
    """`Lumina2Pipeline`."""
    tokenizer = byte_tokenizer()
    sizes = text_sizes(tokenizer)
    return prepared(
        diffusers.Lumina2Pipeline,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=autoencoder(),
        text_encoder=transformers.Gemma2Model(transformers.Gemma2Config(**sizes, query_pre_attn_scalar=8)),
        tokenizer=tokenizer,
        transformer=diffusers.Lumina2Transformer2DModel(
            sample_size=8,
            in_channels=4,
            hidden_size=24,
            num_layers=1,
            num_refiner_layers=1,
            num_attention_heads=3,
            num_kv_heads=1,
            multiple_of=16,
            axes_dim_rope=(4, 2, 2),
            axes_lens=(300, 32, 32),
            cap_feat_dim=16,
        ),
    )


def sana() -> Any:
    """`SanaPipeline`."""
    tokenizer = byte_tokenizer()
    sizes = text_sizes(tokenizer)
    return prepared(
        diffusers.SanaPipeline,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=diffusers.AutoencoderDC(
            latent_channels=4,
            attention_head_dim=2,
            encoder_block_types=("ResBlock", "EfficientViTBlock"),
            decoder_block_types=("ResBlock", "EfficientViTBlock"),
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            encoder_qkv_multiscales=((), (5,)),
            decoder_qkv_multiscales=((), (5,)),
            encoder_layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            decoder_norm_types="rms_norm",
            decoder_act_fns="silu",
            scaling_factor=0.41407,
        ),
        text_encoder=transformers.Gemma2Model(transformers.Gemma2Config(**sizes, query_pre_attn_scalar=8)),
        tokenizer=tokenizer,
        transformer=diffusers.SanaTransformer2DModel(
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=4,
            num_cross_attention_heads=2,
            cross_attention_head_dim=4,
            cross_attention_dim=8,
            caption_channels=16,
            sample_size=32,
        ),
    )


def aura_flow() -> Any:
    """`AuraFlowPipeline`."""
    tokenizer = byte_tokenizer()
    return prepared(
        diffusers.AuraFlowPipeline,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.73),
        vae=autoencoder(scaling_factor=0.13025, shift_factor=None),
        text_encoder=transformers.UMT5EncoderModel(
            transformers.UMT5Config(
                vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2
            )
        ),
        tokenizer=tokenizer,
        transformer=diffusers.AuraFlowTransformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=4,
            num_mmdit_layers=1,
            num_single_dit_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=16,
            caption_projection_dim=32,
            out_channels=4,
            pos_embed_max_size=256,
        ),
    )


def prepared(pipeline_class: type, **parts: Any) -> Any:
    """The pipeline of parts whose weights are drawn anew, so that none is 0 or 1 where a slip could hide."""
    generator = torch.Generator().manual_seed(0)
    for network in parts.values():
        if not isinstance(network, torch.nn.Module):
            continue
        for name, weight in network.eval().named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                weight.data = noise / weight[0].numel() ** 0.5
            else:
                weight.data = 0.1 * noise + (0.0 if name.endswith("bias") else 1.0)
    pipeline = pipeline_class(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def text_sizes(tokenizer: Any, layers: int = 2, *, mrope: bool = False) -> dict[str, Any]:
    """Of a tiny language model."""
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if mrope:
        sizes["rope_parameters"] = {
            "rope_type": "default",
            "mrope_section": [1, 1, 2],
            "rope_theta": 10_000.0,
        }
    return sizes


def autoencoder(**scaling: float | None) -> Any:
    scaling = scaling or {"scaling_factor": 0.3611, "shift_factor": 0.1159}
    levels = 4
    return diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[8] * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        **scaling,
    )


def byte_tokenizer() -> Any:
    """Qwen's kind of tokenizer without merges: a token for each byte."""
    from tokenizers.pre_tokenizers import ByteLevel

    bytes_as_letters = sorted(ByteLevel.alphabet())
    tokenizer = transformers.Qwen2Tokenizer(
        vocab={letter: number for number, letter in enumerate(bytes_as_letters)},
        merges=[],
        unk_token=END,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[START, OF_MESSAGE],
    )
    tokenizer.chat_template = _CHAT
    return tokenizer


def write(pipeline: Any, folder: Path) -> Path:
    """The folder that diffusers writes."""
    pipeline.save_pretrained(folder)
    assert json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["transformer"]
    return folder
