"""Names of tensors as trainers write them, taken apart: for which network and layer, and for what."""

from __future__ import annotations

import pytest

from sfumato_adapters.layouts import Section, read_key, read_names

DIFFUSION, ANY = Section.DIFFUSION, Section.ANY
NAMES = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight": (
        "kohya", DIFFUSION, "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", "lora_down",
    ),
    "lora_unet_input_blocks_4_1_proj_in.alpha": ("kohya", DIFFUSION, "input_blocks_4_1_proj_in", "alpha"),
    "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": (
        "kohya", Section.TEXT, "text_model_encoder_layers_0_mlp_fc1", "lora_up",
    ),
    "lora_te1_text_model_encoder_layers_0_mlp_fc1.hada_w1_a": (
        "kohya", Section.TEXT_1, "text_model_encoder_layers_0_mlp_fc1", "hada_w1_a",
    ),
    "lora_te2_text_model_encoder_layers_3_self_attn_q_proj.lokr_w2": (
        "kohya", Section.TEXT_2, "text_model_encoder_layers_3_self_attn_q_proj", "lokr_w2",
    ),
    "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight": (
        "kohya", Section.TEXT_3, "encoder_block_0_layer_0_SelfAttention_q", "lora_up",
    ),
    "lora_unet_double_blocks_0_img_attn_qkv.dora_scale": (
        "kohya", DIFFUSION, "double_blocks_0_img_attn_qkv", "dora_scale",
    ),
    "oft_unet_down_blocks_0_attentions_0_proj_in.oft_blocks": (
        "kohya", DIFFUSION, "down_blocks_0_attentions_0_proj_in", "oft_blocks",
    ),
    "lora_transformer_single_transformer_blocks_0_attn_to_q.lora_down.weight": (
        "onetrainer", DIFFUSION, "single_transformer_blocks_0_attn_to_q", "lora_down",
    ),
    "lycoris_transformer_blocks_0_attn_to_q.lokr_w1": (
        "lycoris", ANY, "transformer_blocks_0_attn_to_q", "lokr_w1",
    ),
    "unet.mid_block.attentions.0.proj_out.lora_A.weight": (
        "diffusers", DIFFUSION, "mid_block.attentions.0.proj_out", "lora_down",
    ),
    "unet.mid_block.attentions.0.proj_out.lora.up.weight": (
        "diffusers", DIFFUSION, "mid_block.attentions.0.proj_out", "lora_up",
    ),
    "transformer.transformer_blocks.0.attn.to_out.0.lora_B.weight": (
        "diffusers", DIFFUSION, "transformer_blocks.0.attn.to_out.0", "lora_up",
    ),
    "transformer.transformer_blocks.0.attn.to_k.lora_magnitude_vector": (
        "diffusers", DIFFUSION, "transformer_blocks.0.attn.to_k", "dora_magnitude",
    ),
    "transformer.transformer_blocks.0.attn.to_k.lora_A.default.weight": (
        "diffusers", DIFFUSION, "transformer_blocks.0.attn.to_k", "lora_down",
    ),
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight": (
        "diffusers", Section.TEXT_1, "text_model.encoder.layers.0.self_attn.q_proj", "lora_down",
    ),
    "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight": (
        "diffusers", Section.TEXT_2, "text_model.encoder.layers.0.self_attn.q_proj", "lora_up",
    ),
    "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.up.weight": (
        "diffusers", DIFFUSION, "up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0", "lora_up",
    ),
    "base_model.model.double_blocks.0.img_attn.qkv.lora_A.weight": (
        "peft", ANY, "double_blocks.0.img_attn.qkv", "lora_down",
    ),
    "unet.base_model.model.mid_block.attentions.0.proj_out.lora_A.weight": (
        "diffusers", DIFFUSION, "mid_block.attentions.0.proj_out", "lora_down",
    ),
    "double_blocks.0.img_attn.qkv.lora_B.bias": (
        "original", ANY, "double_blocks.0.img_attn.qkv", "lora_up_bias",
    ),
    "diffusion_model.single_blocks.3.linear1.lora_A.weight": (
        "comfyui", DIFFUSION, "single_blocks.3.linear1", "lora_down",
    ),
    "diffusion_model.layers.3.attention.qkv.lora_up.weight": (
        "comfyui", DIFFUSION, "layers.3.attention.qkv", "lora_up",
    ),
    "double_blocks.0.processor.qkv_lora1.down.weight": (
        "xlabs", DIFFUSION, "double_blocks.0.img_attn.qkv", "lora_down",
    ),
    "double_blocks.0.processor.proj_lora2.up.weight": (
        "xlabs", DIFFUSION, "double_blocks.0.txt_attn.proj", "lora_up",
    ),
    "diffusion_model.single_blocks.7.processor.proj_lora.up.weight": (
        "xlabs", DIFFUSION, "single_blocks.7.linear2", "lora_up",
    ),
    "transformer.double_blocks.3.img_attn.qkv.1.lora_down.weight": (
        "omi", DIFFUSION, "transformer_blocks.3.attn.to_k", "lora_down",
    ),
    "transformer.single_blocks.3.linear1.3.alpha": (
        "omi", DIFFUSION, "single_transformer_blocks.3.proj_mlp", "alpha",
    ),
    "transformer.joint_blocks.3.context_block.attn.qkv.2.lora_up.weight": (
        "omi", DIFFUSION, "transformer_blocks.3.attn.add_v_proj", "lora_up",
    ),
    "transformer.double_blocks.3.img_mlp.0.lora_down.weight": (
        "diffusers", DIFFUSION, "double_blocks.3.img_mlp.0", "lora_down",
    ),
    "transformer.img_in.proj.lora_down.weight": ("omi", DIFFUSION, "img_in", "lora_down"),
    "clip_g.text_model.encoder.layers.0.mlp.fc1.dora_scale": (
        "omi", Section.TEXT_2, "text_model.encoder.layers.0.mlp.fc1", "dora_scale",
    ),
    "t5.encoder.block.0.layer.0.SelfAttention.q.lora_up.weight": (
        "omi", Section.TEXT_3, "encoder.block.0.layer.0.SelfAttention.q", "lora_up",
    ),
    "single_blocks.7.processor.qkv_lora.up.weight": (
        "xlabs", DIFFUSION, "single_transformer_blocks.7.attn.qkv", "lora_up",
    ),
}  # fmt: skip
UNKNOWN = [
    "bundle_emb.word.string_to_param.*",
    "lora_unet_down_blocks_0.strange",
    "model_ema.decay",
    "alpha",
    ".alpha",
    "",
    "...",
]


@pytest.mark.parametrize("key", NAMES)
def test_a_name_is_taken_apart(key: str) -> None:
    layout, section, layer, slot = NAMES[key]
    spelling = read_key(key)
    assert spelling is not None
    found = spelling.layer
    assert (found.layout, found.section, found.layer, spelling.slot) == (layout, section, layer, slot)
    assert key.startswith(spelling.stem)
    assert found.flat == (layout in ("kohya", "onetrainer", "lycoris"))


@pytest.mark.parametrize("key", UNKNOWN)
def test_other_names_are_not_guessed_at(key: str) -> None:
    assert read_key(key) is None


def test_the_tensors_of_a_layer_come_together() -> None:
    keys = ["a.b.lora_up.weight", "a.c.diff", "strange", "a.b.lora_down.weight", "a.b.alpha"]
    named = read_names(keys)
    assert [(layer.stem, [slot for slot, _ in layer.keys]) for layer in named.layers] == [
        ("a.b", ["lora_up", "lora_down", "alpha"]),
        ("a.c", ["diff"]),
    ]
    assert named.unknown == ("strange",)
