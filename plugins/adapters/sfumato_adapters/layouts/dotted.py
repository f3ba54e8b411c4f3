"""Dotted names, maybe after the network's: PEFT, diffusers, ai-toolkit, ComfyUI, Black Forest Labs.

The rest is the path of the layer in diffusers' network or in the original checkpoint; the tables of the model
know both.
"""

from __future__ import annotations

from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling, split_suffix

_PEFT = "base_model.model."
_PREFIXES = {
    "unet.": ("diffusers", Section.DIFFUSION),
    "transformer.": ("diffusers", Section.DIFFUSION),
    "text_encoder.": ("diffusers", Section.TEXT_1),
    "text_encoder_2.": ("diffusers", Section.TEXT_2),
    "text_encoder_3.": ("diffusers", Section.TEXT_3),
    "diffusion_model.": ("comfyui", Section.DIFFUSION),
    "model.diffusion_model.": ("comfyui", Section.DIFFUSION),
    "text_encoders.clip_l.transformer.": ("comfyui", Section.TEXT_1),
    "text_encoders.clip_g.transformer.": ("comfyui", Section.TEXT_2),
    "text_encoders.t5xxl.transformer.": ("comfyui", Section.TEXT_3),
    "lora_te1.": ("onetrainer", Section.TEXT_1),
    "lora_te2.": ("onetrainer", Section.TEXT_2),
    "lora_te3.": ("onetrainer", Section.TEXT_3),
    "lora_unet.": ("onetrainer", Section.DIFFUSION),
    "lora_transformer.": ("onetrainer", Section.DIFFUSION),
}


def read(key: str) -> Spelling | None:
    """None for names that end in a way not known."""
    split = split_suffix(key)
    if split is None:
        return None
    stem, slot = split
    path, layout, section = stem, "", Section.ANY
    for prefix, (its_layout, its_section) in _PREFIXES.items():
        if stem.startswith(prefix):
            path, layout, section = stem.removeprefix(prefix), its_layout, its_section
            break
    if path.startswith(_PEFT):
        path, layout = path.removeprefix(_PEFT), layout or "peft"
    return Spelling(stem, LayerName(layout or "original", section, path), slot)
