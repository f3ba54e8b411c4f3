"""The names of old diffusers, LoRA being attention processors: ``attn1.processor.to_q_lora.down.weight``."""

from __future__ import annotations

import re

from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling

_KEY = re.compile(
    r"^(?P<stem>(?:unet\.)?(?P<attention>.+)\.processor\.(?P<layer>to_[qkv]|to_out|add_[kv]_proj)_lora)"
    r"\.(?P<side>down|up)\.weight$"
)


def read(key: str) -> Spelling | None:
    """None for names of other layouts."""
    match = _KEY.match(key)
    if match is None:
        return None
    layer = "to_out.0" if match["layer"] == "to_out" else match["layer"]
    name = LayerName("diffusers", Section.DIFFUSION, f"{match['attention']}.{layer}")
    return Spelling(match["stem"], name, f"lora_{match['side']}")
