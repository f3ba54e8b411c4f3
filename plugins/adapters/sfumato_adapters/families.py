"""Which family of models an adapter was made for, from its names, shapes and metadata. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sfumato_adapters.kinds.delta import Shape

SD1, SD2, SDXL, REFINER, SD3 = "SD 1.x", "SD 2.x", "SDXL", "SDXL refiner", "SD3"
FLUX, FLUX2, CHROMA, QWEN, Z_IMAGE, LUMINA = "Flux.1", "Flux.2", "Chroma", "Qwen-Image", "Z-Image", "Lumina 2"

_STATED = {
    "stable-diffusion-v1": SD1,
    "stable-diffusion-v2": SD2,
    "stable-diffusion-xl-v1-refiner": REFINER,
    "stable-diffusion-xl": SDXL,
    "stable-diffusion-3": SD3,
    "flux-2": FLUX2,
    "flux.2": FLUX2,
    "flux2": FLUX2,
    "flux": FLUX,
    "chroma": CHROMA,
    "qwen": QWEN,
    "z-image": Z_IMAGE,
    "zimage": Z_IMAGE,
    "lumina": LUMINA,
    "sd_v1": SD1,
    "sd_1": SD1,
    "sd1": SD1,
    "sd_v2": SD2,
    "sd_2": SD2,
    "sdxl": SDXL,
    "sd3": SD3,
}
"""How `modelspec.architecture` and `ss_base_model_version` begin, the longer ones first."""
_METADATA = ("modelspec.architecture", "ss_base_model_version")

_CONTEXT_WIDTHS = {768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER}
"""What the cross attention of each UNet reads."""
_SD3_WIDTHS = (1536, 2432)
_LUMINA_WIDTH = 2304

_NAMES = (
    (CHROMA, r"distilled_guidance_layer"),
    (FLUX2, r"to_qkv_mlp_proj|(double|single)_stream_modulation"),
    (FLUX, r"(double|single)_blocks_\d+_|single_transformer_blocks_\d+_"),
    (SD3, r"joint_blocks_\d+_"),
    (QWEN, r"transformer_blocks_\d+_(img_mlp|txt_mlp|img_mod|txt_mod)_"),
    (Z_IMAGE, r"(noise|context)_refiner_\d+_|(^|_)layers_\d+_(attention|feed_forward)_"),
    (SDXL, r"lora_te2_text_model|text_encoder_2_text_model"),
)
"""Names, all dots made underscores, that only one family has."""
_CROSS_ATTENTION = re.compile(r"(block|blocks)_.*_attn2_to_[kv]$")
_JOINT_ATTENTION = re.compile(r"(^|_)transformer_blocks_\d+_attn_(to|add)_")
_DEEP_UNET = re.compile(
    r"(input_blocks|middle_block|output_blocks|down_blocks|mid_block|up_blocks)_.*transformer_blocks_[2-9]_"
)


def made_for(layers: Mapping[str, Mapping[str, Shape]], metadata: Mapping[str, str]) -> str:
    """The family by its usual name; empty where nothing speaks of one.

    Args:
        layers: The shapes of the tensors by slot, by the stem of the layer's name.
        metadata: The file's.
    """
    shapes = {stem.replace(".", "_"): by_slot for stem, by_slot in layers.items()}
    return _by_context_width(shapes) or _as_stated(metadata) or _by_names(shapes)


def _by_context_width(layers: Mapping[str, Mapping[str, Shape]]) -> str:
    for name, shapes in layers.items():
        if _CROSS_ATTENTION.search(name):
            return _CONTEXT_WIDTHS.get(input_width(shapes), "")
    return ""


def _as_stated(metadata: Mapping[str, str]) -> str:
    for key in _METADATA:
        stated = metadata.get(key, "").lower()
        for beginning, family in _STATED.items():
            if stated.startswith(beginning):
                return family
    return ""


def _by_names(layers: Mapping[str, Mapping[str, Shape]]) -> str:
    for family, pattern in _NAMES:
        if any(re.search(pattern, name) for name in layers):
            return family
    for name, shapes in layers.items():
        if _JOINT_ATTENTION.search(name):
            return SD3 if input_width(shapes) in _SD3_WIDTHS else FLUX
        if _DEEP_UNET.search(name):
            return SDXL
    return ""


def input_width(shapes: Mapping[str, Shape]) -> int:
    """How many features a layer reads, as far as tensors of these shapes tell; 0 where they do not."""
    for slot in ("lora_down", "hada_w1_b", "diff", "b2"):
        if len(shapes.get(slot, ())) > 1:
            return shapes[slot][1]
    first = shapes.get("lokr_w1", shapes.get("lokr_w1_b", ()))
    second = shapes.get("lokr_w2", shapes.get("lokr_w2_b", ()))
    return first[1] * second[1] if len(first) > 1 and len(second) > 1 else 0
