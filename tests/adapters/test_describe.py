"""What the header of an adapter tells: family, kinds, ranks, words; shapes and names are as in real files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sfumato.errors import CheckpointError
from sfumato_adapters.describe import describe

from ..tiny_models.headers import Shapes, header_of


def lora(stem: str, inputs: int, outputs: int, rank: int = 16) -> dict[str, tuple[int, ...]]:
    return {
        f"{stem}.lora_down.weight": (rank, inputs),
        f"{stem}.lora_up.weight": (outputs, rank),
        f"{stem}.alpha": (),
    }


def peft(stem: str, inputs: int, outputs: int, rank: int = 16) -> dict[str, tuple[int, ...]]:
    return {f"{stem}.lora_A.weight": (rank, inputs), f"{stem}.lora_B.weight": (outputs, rank)}


CROSS = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
FAMILIES: dict[str, tuple[Shapes, str]] = {
    "SD 1.5 by sd-scripts": (lora(CROSS, 768, 640), "SD 1.x"),
    "SD 2.1 by sd-scripts": (lora(CROSS, 1024, 640), "SD 2.x"),
    "SDXL by sd-scripts": (
        lora("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_v", 2048, 640),
        "SDXL",
    ),
    "SDXL, self attention alone": (
        lora("lora_unet_input_blocks_8_1_transformer_blocks_7_attn1_to_v", 1280, 1280),
        "SDXL",
    ),
    "SDXL, text encoders alone": (
        lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280, 5120),
        "SDXL",
    ),
    "SDXL by diffusers": (
        peft("unet.up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 2048, 1280),
        "SDXL",
    ),
    "SD 1.5 as LoHa": (
        {f"{CROSS}.hada_w{n}_{side}": (640, 8) if side == "a" else (8, 768) for n in (1, 2) for side in "ab"},
        "SD 1.x",
    ),
    "SDXL as LoKr": ({f"{CROSS}.lokr_w1": (8, 32), f"{CROSS}.lokr_w2": (80, 64)}, "SDXL"),
    "SD3 by sd-scripts": (lora("lora_unet_joint_blocks_0_x_block_attn_qkv", 1536, 4608), "SD3"),
    "SD3 by diffusers": (peft("transformer.transformer_blocks.0.attn.add_q_proj", 1536, 1536), "SD3"),
    "Flux by sd-scripts": (lora("lora_unet_double_blocks_0_img_attn_qkv", 3072, 9216), "Flux.1"),
    "Flux by ai-toolkit": (peft("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072), "Flux.1"),
    "Flux, double blocks alone": (peft("transformer.transformer_blocks.0.attn.to_q", 3072, 3072), "Flux.1"),
    "Flux by XLabs": (
        {
            "double_blocks.0.processor.qkv_lora1.down.weight": (16, 3072),
            "double_blocks.0.processor.qkv_lora1.up.weight": (9216, 16),
        },
        "Flux.1",
    ),
    "Chroma": (
        peft("diffusion_model.distilled_guidance_layer.layers.0.in_layer", 5120, 5120)
        | peft("diffusion_model.double_blocks.0.img_attn.qkv", 3072, 9216),
        "Chroma",
    ),
    "Qwen-Image": (peft("transformer.transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288), "Qwen-Image"),
    "Z-Image": (peft("diffusion_model.layers.0.attention.qkv", 3840, 11520), "Z-Image"),
    "Flux.2": (
        peft("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 6144, 36864),
        "Flux.2",
    ),
    "nobody's": (peft("transformer.pixels.0", 8, 8), ""),
}


@pytest.mark.parametrize("case", FAMILIES)
def test_the_family_shows_in_names_and_shapes(case: str) -> None:
    shapes, family = FAMILIES[case]
    assert describe(header_of(shapes)).made_for == family


@pytest.mark.parametrize(
    ("metadata", "family"),
    [
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, "SDXL"),
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, "SD 1.x"),
        ({"modelspec.architecture": "Flux-1-dev/lora"}, "Flux.1"),
        ({"modelspec.architecture": "stable-diffusion-3-medium/lora"}, "SD3"),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"),
        ({"ss_base_model_version": "sd_v2_v"}, "SD 2.x"),
        ({"ss_base_model_version": "flux1"}, "Flux.1"),
        ({"ss_base_model_version": "something new"}, ""),
    ],
    ids=str,
)
def test_the_family_is_stated_where_names_leave_it_open(metadata: dict[str, str], family: str) -> None:
    shapes = lora("lora_unet_mid_block_attentions_0_proj_in", 1280, 1280)
    assert describe(header_of(shapes, metadata=metadata)).made_for == family


def test_the_width_of_the_text_outweighs_what_is_stated() -> None:
    header = header_of(
        lora(CROSS, 768, 640), metadata={"modelspec.architecture": "stable-diffusion-xl-v1-base"}
    )
    assert describe(header).made_for == "SD 1.x"


def test_kinds_ranks_and_networks_are_counted() -> None:
    shapes = {
        **lora("lora_unet_a", 8, 8, rank=4),
        **lora("lora_unet_b", 8, 8, rank=32),
        **lora("lora_te_c", 8, 8, rank=4),
        "lora_unet_b.dora_scale": (8, 1),
        "lora_unet_d.lokr_w1": (2, 2),
        "lora_unet_d.lokr_w2": (4, 4),
        "strange": (1,),
    }
    found = describe(header_of(shapes))
    assert found.kinds == ("lora", "dora", "lokr")
    assert found.ranks == {4: 2, 32: 1}
    assert found.layers == {"diffusion": 3, "text encoder": 1}
    assert found.layout == "kohya"
    assert found.unknown == ("strange",)
    assert found.tensors == 13


def test_words_come_from_the_metadata() -> None:
    metadata = {
        "ss_tag_frequency": json.dumps({"10_cats": {"cat ": 3, "tree": 1}, "5_dogs": {"cat": 2, "dog": 4}}),
        "modelspec.trigger_phrase": "ohwx cat, ohwx",
        "modelspec.title": "Cats",
        "modelspec.thumbnail": "data:image/jpeg;base64,AAAA",
        "ss_sd_model_name": "v1-5.safetensors",
    }
    found = describe(header_of(lora(CROSS, 768, 640), metadata=metadata))
    assert list(found.tags.items()) == [("cat", 5), ("dog", 4), ("tree", 1)]
    assert found.trigger_words == ("ohwx cat", "ohwx")
    assert (found.title, found.base_model) == ("Cats", "v1-5.safetensors")
    assert found.about == {"title": "Cats", "trigger_phrase": "ohwx cat, ohwx"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": []}', '{"a": {"b": "c"}}', "3"])
def test_frequencies_that_cannot_be_read_are_none(text: str) -> None:
    assert not describe(header_of(lora(CROSS, 768, 640), metadata={"ss_tag_frequency": text})).tags


def test_pickles_and_empty_files_are_refused() -> None:
    with pytest.raises(CheckpointError, match="pickles"):
        describe(header_of(lora(CROSS, 768, 640), name="style.pt"))
    with pytest.raises(CheckpointError, match="no tensors"):
        describe(header_of({}))


def test_no_tensor_library_is_needed() -> None:
    code = "import sys, sfumato_adapters.describe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learned_words_that_a_lora_brings_are_nothing_unknown() -> None:
    found = describe(header_of({**lora(CROSS, 768, 640), "bundle_emb.smile.clip_l": (2, 768)}))
    assert (found.unknown, found.tensors) == ((), 4)
