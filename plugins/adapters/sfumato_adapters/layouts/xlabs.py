"""The names of XLabs' trainer for Flux: ``double_blocks.0.processor.qkv_lora1.down.weight``."""

from __future__ import annotations

import re

from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling

_KEY = re.compile(
    r"^(?P<stem>(?:diffusion_model\.)?(?P<kind>double|single)_blocks\.(?P<number>\d+)\.processor\."
    r"(?P<layer>(?:qkv|proj)_lora[12]?))\.(?P<side>down|up)\.weight$"
)
_LAYERS = {
    ("double", "qkv_lora1"): "double_blocks.{}.img_attn.qkv",
    ("double", "qkv_lora2"): "double_blocks.{}.txt_attn.qkv",
    ("double", "proj_lora1"): "double_blocks.{}.img_attn.proj",
    ("double", "proj_lora2"): "double_blocks.{}.txt_attn.proj",
    # Only the queries, keys and values of the wider layer that the original has there.
    ("single", "qkv_lora"): "single_transformer_blocks.{}.attn.qkv",
    ("single", "proj_lora"): "single_blocks.{}.linear2",
}


def read(key: str) -> Spelling | None:
    """None for names of other layouts."""
    match = _KEY.match(key)
    layer = _LAYERS.get((match["kind"], match["layer"])) if match else None
    if match is None or layer is None:
        return None
    name = LayerName("xlabs", Section.DIFFUSION, layer.format(match["number"]))
    return Spelling(match["stem"], name, f"lora_{match['side']}")
