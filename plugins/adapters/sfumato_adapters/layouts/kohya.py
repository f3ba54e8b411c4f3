"""The flat names of sd-scripts, LyCORIS and OneTrainer: ``lora_unet_down_blocks_0_... .lora_up.weight``.

All dots in the path of a layer are underscores. What follows the prefix is either the path in the original
checkpoint or in diffusers' network.
"""

from __future__ import annotations

import re

from sfumato_adapters.layouts.spelling import LayerName, Section, Spelling, split_suffix

NAME = "kohya"
_PREFIX = re.compile(r"^(?:(lora|oft)_(unet|transformer|te[123]?)|lycoris)_(?=.)")
_SECTIONS = {
    "unet": Section.DIFFUSION,
    "transformer": Section.DIFFUSION,
    "te": Section.TEXT,
    "te1": Section.TEXT_1,
    "te2": Section.TEXT_2,
    "te3": Section.TEXT_3,
}


def read(key: str) -> Spelling | None:
    """None for names of other layouts."""
    match = _PREFIX.match(key)
    split = split_suffix(key) if match else None
    if match is None or split is None or "." in split[0]:
        return None
    stem, slot = split
    # An adapter made by LyCORIS alone names no network.
    section = _SECTIONS[match[2]] if match[2] else Section.ANY
    layout = "onetrainer" if match[2] == "transformer" else "lycoris" if not match[2] else NAME
    return Spelling(stem, LayerName(layout, section, stem[match.end() :], flat=True), slot)
