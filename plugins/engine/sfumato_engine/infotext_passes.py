"""The nested parts of a request - start picture, mask, hires fix, refiner - as infotext fields, and back.

The keys are A1111's and Forge's where they have one, among them those of A1111's soft inpainting script;
the others go by plain names. Paths of pictures and masks are not written: a text goes around the world.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from pydantic import ValidationError

from sfumato.request import GenerationRequest, HiresPass, Img2Img, Inpaint, Outpaint, Refiner, SoftInpaint
from sfumato.request.schema import Schema

DENOISING = "Denoising strength"
HIRES_DENOISING = "Hires denoising strength"
"""Of the hires pass, where the other key is that of a start picture; A1111 has no request with both."""

HIRES_UPSCALE, HIRES_RESIZE = "Hires upscale", "Hires resize"
HIRES: Mapping[str, str] = {
    "Hires checkpoint": "model",
    "Hires sampler": "sampler",
    "Hires prompt": "prompt",
    "Hires negative prompt": "negative_prompt",
    "Hires CFG Scale": "cfg_scale",
    "Hires schedule type": "scheduler",
    "Hires steps": "steps",
    "Hires upscaler": "upscaler",
}
REFINER: Mapping[str, str] = {"Refiner": "model", "Refiner switch at": "switch_at"}
IMG2IMG: Mapping[str, str] = {
    DENOISING: "denoising_strength",
    "Noise multiplier": "noise_multiplier",
    "Resize mode": "resize_mode",
    "Img2img all steps": "all_steps",
    "Color correction": "color_correction",
    "Background": "background",
}
MASK_BLUR, MASKED_CONTENT = "Mask blur", "Masked content"
INPAINT: Mapping[str, str] = {
    "Mask mode": "invert",
    MASK_BLUR: "blur",
    "Inpaint area": "area",
    "Masked area padding": "padding",
    MASKED_CONTENT: "content",
}
MASK_WEIGHT = "Conditional mask weight"
"""A1111 writes it for every picture by an inpainting model, also for one made of nothing."""
SOFT_ENABLED = "Soft inpainting enabled"
SOFT: Mapping[str, str] = {
    f"Soft inpainting {name.replace('_', ' ')}": name for name in SoftInpaint.model_fields
}
OUTPAINT: Mapping[str, str] = {f"Outpaint {side}": side for side in ("left", "right", "top", "bottom")}

LABELS: Mapping[str, Mapping[Any, str]] = {
    "Mask mode": {False: "Inpaint masked", True: "Inpaint not masked"},
    "Inpaint area": {"whole_picture": "Whole picture", "only_masked": "Only masked"},
    MASKED_CONTENT: {
        "original": "original",
        "fill": "fill",
        "latent_noise": "latent noise",
        "latent_nothing": "latent nothing",
    },
    "Resize mode": {
        "stretch": "Just resize",
        "crop": "Crop and resize",
        "fill": "Resize and fill",
        "latent": "Just resize (latent upscale)",
    },
}
"""A1111's words for values."""

OF_A_PICTURE = (*IMG2IMG, *INPAINT, MASK_WEIGHT, SOFT_ENABLED, *SOFT, *OUTPAINT)
"""Keys that mean nothing without the picture to start from."""
OF_A_MASK = (*INPAINT, MASK_WEIGHT, SOFT_ENABLED, *SOFT)
"""Those of them that mean nothing without its mask, unless the picture is carried on beyond its edges."""
KEYS = (*HIRES, HIRES_UPSCALE, HIRES_RESIZE, HIRES_DENOISING, *REFINER, *OF_A_PICTURE)
"""All keys of this module."""

_AS_THE_FIRST_PASS: Mapping[str, tuple[str, ...]] = {
    "Hires sampler": ("Use same sampler",),
    "Hires schedule type": ("Use same scheduler",),
    "Hires checkpoint": ("Use same checkpoint",),
    "Hires steps": ("0",),
    HIRES_RESIZE: ("0x0",),
}
"""Values that say what a missing field says."""
_MODELS = ("Hires checkpoint", "Refiner")
_HASH_BEHIND = re.compile(r" \[[0-9a-fA-F]{6,64}\]$")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_NEEDED: Mapping[type[Schema], Mapping[str, str]] = {
    Img2Img: {"image": "-"},
    Inpaint: {"mask": "-"},
    Refiner: {"model": "-"},
}
"""What the check of one field alone has to fill in."""


def nested_fields(request: GenerationRequest) -> dict[str, Any]:
    """The infotext fields of all nested parts of a request."""
    return {
        **(_img2img_fields(request.img2img) if request.img2img else {}),
        **(_hires_fields(request.hires, beside=request.img2img) if request.hires else {}),
        **(_inpaint_fields(request.inpaint) if request.inpaint else {}),
        **(_outpaint_fields(request.outpaint) if request.outpaint else {}),
        **(_written(request.refiner, REFINER, always=tuple(REFINER)) if request.refiner else {}),
    }


def _img2img_fields(img2img: Img2Img) -> dict[str, Any]:
    return _written(img2img, IMG2IMG, always=(DENOISING,))


def _hires_fields(hires: HiresPass, beside: Img2Img | None) -> dict[str, Any]:
    resized = bool(hires.width or hires.height)
    return {
        HIRES_DENOISING if beside else DENOISING: hires.denoising_strength,
        **_written(hires, HIRES, always=("Hires upscaler",)),
        HIRES_UPSCALE: None if resized else hires.scale,
        HIRES_RESIZE: f"{hires.width}x{hires.height}" if resized else None,
    }


def _inpaint_fields(inpaint: Inpaint) -> dict[str, Any]:
    """With the blur in any case, by which a text is known to be one of inpainting."""
    soft = {SOFT_ENABLED: True, **_written(inpaint.soft, SOFT, always=tuple(SOFT))} if inpaint.soft else {}
    always = (MASK_BLUR, "Masked area padding") if inpaint.area == "only_masked" else (MASK_BLUR,)
    weight = {MASK_WEIGHT: "conditioning_mask_weight"}
    return {**_written(inpaint, {**INPAINT, **weight}, always), **soft}


def _outpaint_fields(outpaint: Outpaint) -> dict[str, Any]:
    keys = {**OUTPAINT, MASK_BLUR: "blur", MASKED_CONTENT: "content"}
    return _written(outpaint, keys, always=tuple(keys))


def _written(part: Schema, keys: Mapping[str, str], always: tuple[str, ...]) -> dict[str, Any]:
    """Fields that are not at their default, and some in any case."""
    defaults = {name: field.default for name, field in type(part).model_fields.items()}
    return {
        key: _in_words(key, getattr(part, name))
        for key, name in keys.items()
        if key in always or getattr(part, name) != defaults[name]
    }


def _in_words(key: str, value: Any) -> Any:
    """A1111's word for a value; whole pixels without a fraction."""
    if key == MASK_BLUR and value == int(value):
        return int(value)
    return LABELS[key][value] if key in LABELS else value


def take_nested(fields: MutableMapping[str, str]) -> dict[str, dict[str, Any]]:
    """The nested parts that a text tells of, as values by the name of the part; some may lack their picture.

    What is taken is gone from `fields`; what a part cannot have stays there.
    """
    found = {
        "hires": _take_hires(fields),
        "inpaint": _take_inpaint(fields),
        "outpaint": _take_outpaint(fields),
        "refiner": _take(fields, Refiner, REFINER) if fields.get("Refiner") else {},
    }
    if DENOISING in fields or found["inpaint"] or found["outpaint"]:
        found["img2img"] = _take(fields, Img2Img, IMG2IMG)
    return {name: values for name, values in found.items() if values}


def _take_hires(fields: MutableMapping[str, str]) -> dict[str, Any]:
    if HIRES_UPSCALE not in fields and HIRES_RESIZE not in fields:
        return {}
    for key, values in _AS_THE_FIRST_PASS.items():
        if fields.get(key) in values:
            del fields[key]
    denoising = HIRES_DENOISING if HIRES_DENOISING in fields else DENOISING
    taken = _take(fields, HiresPass, {**HIRES, HIRES_UPSCALE: "scale", denoising: "denoising_strength"})
    size = _SIZE.fullmatch(fields.get(HIRES_RESIZE, ""))
    sides = {"width": size[1], "height": size[2]} if size else {}
    checked = {name: _checked(HiresPass, name, side) for name, side in sides.items()}
    if checked and None not in checked.values():
        del fields[HIRES_RESIZE]
        taken |= checked
    return taken


def _take_inpaint(fields: MutableMapping[str, str]) -> dict[str, Any]:
    """A mask that is not softened is not written by A1111: without the key, the blur is 0."""
    if any(key in fields for key in OUTPAINT) or not any(key in fields for key in (*INPAINT, SOFT_ENABLED)):
        return {}
    taken = {"blur": 0.0, **_take(fields, Inpaint, {**INPAINT, MASK_WEIGHT: "conditioning_mask_weight"})}
    if fields.get(SOFT_ENABLED) == "True":
        del fields[SOFT_ENABLED]
        taken["soft"] = _take(fields, SoftInpaint, SOFT)
    return taken


def _take_outpaint(fields: MutableMapping[str, str]) -> dict[str, Any]:
    if not any(key in fields for key in OUTPAINT):
        return {}
    return _take(fields, Outpaint, {**OUTPAINT, MASK_BLUR: "blur", MASKED_CONTENT: "content"})


def _take(fields: MutableMapping[str, str], part: type[Schema], keys: Mapping[str, str]) -> dict[str, Any]:
    """Values of the part by field name, as far as it can have them."""
    taken: dict[str, Any] = {}
    for key, name in keys.items():
        if key not in fields:
            continue
        value = _checked(part, name, _out_of_words(key, fields[key]))
        if value is not None:
            taken[name] = value
            del fields[key]
    return taken


def _out_of_words(key: str, text: str) -> Any:
    if key in _MODELS:
        return _HASH_BEHIND.sub("", text)
    return next((value for value, label in LABELS.get(key, {}).items() if label == text), text)


def _checked(part: type[Schema], name: str, value: Any) -> Any:
    """The value as the part holds it; None if it cannot."""
    try:
        return getattr(part.model_validate({**_NEEDED.get(part, {}), name: value}), name)
    except ValidationError:
        return None
