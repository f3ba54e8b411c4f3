"""The flat dictionary that A1111 makes of an infotext, gaps filled with what it assumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sfumato_engine.prompts import parse_attention
from sfumato_pictures import infotext
from sfumato_pictures.infotext import Infotext

READING_DEFAULTS: Mapping[str, Any] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}
"""What A1111 assumes for fields that a text does not hold."""

_SIZE = re.compile(r"(\d+)x(\d+)")


def read_parameters(text: str) -> dict[str, Any]:
    """The flat dictionary that A1111 makes of a text: prompts and fields, sizes split in two, gaps filled."""
    read = infotext.read(text)
    parameters: dict[str, Any] = {"Prompt": read.prompt, "Negative prompt": read.negative_prompt}
    for key, value in read.fields.items():
        size = _SIZE.fullmatch(value)
        parameters.update({f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value})
    if "Emphasis" not in parameters and _weighted(read):
        parameters["Emphasis"] = "Original"
    return {**READING_DEFAULTS, **parameters}


def _weighted(read: Infotext) -> bool:
    pieces = parse_attention(read.prompt) + parse_attention(read.negative_prompt)
    return any(weight != 1.0 for _, weight in pieces)
