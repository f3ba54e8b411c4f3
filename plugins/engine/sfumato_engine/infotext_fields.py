"""Which infotext field carries what of a request: written by A1111's keys where it has one.

What A1111 has no key for goes by its own name under a plain key, which A1111 passes over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

from pydantic import BaseModel

from sfumato.request import GenerationRequest
from sfumato.sampling import Option
from sfumato_engine.infotext_passes import KEYS, nested_fields
from sfumato_engine.prompts import parse_attention
from sfumato_pictures.infotext import LEADING_KEYS, TRAILING_KEYS

OWN_VERSION = "sfumato "
"""What the field Version begins with in our own texts."""

OPTION_KEYS: Mapping[str, str] = {
    "eta": "Eta",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
}
"""Infotext keys of sampler and scheduler options that A1111 knows; others go by their own name."""

EMPHASIS: Mapping[str, str] = {
    "original": "Original",
    "no_norm": "No norm",
    "ignore": "Ignore",
    "none": "None",
}
NOISE_SOURCES: Mapping[str, str] = {"cpu": "CPU", "nv": "NV"}
"""In A1111 a text without the key means GPU, whose noise 'nv' makes."""

CHANGED: Mapping[str, str] = {
    "negative_minimum_sigma": "NGMS",
    "negative_minimum_sigma_all": "NGMS all steps",
    "guidance_start": "Skip Early CFG",
    "guidance_end": "Guidance end",
    "cfg_rescale": "CFG rescale",
    "step_noise": "Step noise",
}
"""Request fields written as they are where they are not at their default."""

TILING, FACE_RESTORATION, PARTS, REGIONS = "Tiling", "Face restoration", "Parts", "Regions"

_TAKEN = {
    key.lower()
    for key in (
        *LEADING_KEYS,
        *TRAILING_KEYS,
        *OPTION_KEYS.values(),
        *CHANGED.values(),
        *KEYS,
        PARTS,
        REGIONS,
    )
}
_NO_KEY = re.compile(r"[^\w /-]+")
_MARKS_OF_EMPHASIS = re.compile(r"[()\[\]\\]")


def request_fields(request: GenerationRequest) -> dict[str, Any]:
    """The fields of a request beside those that every text has.

    Styles have none: as in A1111, their texts are in the prompts.

    Args:
        request: Resolved. Its variation seed is that of the picture.
    """
    varied = request.variation_strength > 0
    return {
        "Variation seed": request.variation_seed if varied else None,
        "Variation seed strength": request.variation_strength if varied else None,
        "Seed resize from": _resized_from(request),
        "Clip skip": request.clip_skip if (request.clip_skip or 1) > 1 else None,
        "ENSD": request.noise_seed_delta or None,
        "RNG": NOISE_SOURCES[request.noise_source],
        "Emphasis": EMPHASIS[request.emphasis] if _emphasis_matters(request) else None,
        TILING: request.tiling or None,
        FACE_RESTORATION: request.face_restorer,
        **nested_fields(request),
        **{key: getattr(request, name) for name, key in CHANGED.items() if _is_changed(request, name)},
        PARTS: json.dumps({kind: _file_name(name) for kind, name in request.parts.items()})
        if request.parts
        else None,
        REGIONS: ", ".join(path.name for path in request.regions) or None,
    }


def _file_name(name: str) -> str:
    """A file as named, without the folders of this machine."""
    return PureWindowsPath(name).name  # which takes both kinds of slashes for separators


def _resized_from(request: GenerationRequest) -> str | None:
    if not (request.seed_resize_width or request.seed_resize_height):
        return None
    width = request.seed_resize_width or request.width
    return f"{width}x{request.seed_resize_height or request.height}"


def _emphasis_matters(request: GenerationRequest) -> bool:
    texts = (request.prompt, request.negative_prompt)
    if request.emphasis == "none":
        return any(_MARKS_OF_EMPHASIS.search(text) for text in texts)
    return request.emphasis != "original" and any(
        weight != 1.0 for text in texts for _, weight in parse_attention(text)
    )


def _is_changed(request: GenerationRequest, name: str) -> bool:
    return bool(getattr(request, name) != GenerationRequest.model_fields[name].default)


def option_key(name: str) -> str:
    """The key of a sampler or scheduler option: A1111's, or its own name in words."""
    return OPTION_KEYS.get(name) or _free_key(name.replace("_", " ").capitalize(), "Sampler")


def stage_key(label: str) -> str:
    """The key of a stage: its label, as far as a key can hold it."""
    return _free_key(" ".join(_NO_KEY.sub(" ", label).split()), "Stage")


def _free_key(key: str, kind: str) -> str:
    """Keys have two characters at least, and none may say something else already."""
    return key if len(key) > 1 and key.lower() not in _TAKEN else f"{kind} {key}"


def option_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of sampler and scheduler options."""
    return {option_key(name): value for name, value in options.items()}


def options_by_key(options: Iterable[Option]) -> dict[str, Option]:
    """The inverse of `option_fields`: which option a key means for this sampler and scheduler."""
    return {option_key(option.name): option for option in options}


def stage_fields(labels: Mapping[str, str], stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of the stages that take part: their options as JSON, for a plugin may have any.

    Args:
        labels: By name, as far as they are known.
    """
    return {stage_key(labels.get(name, name)): json.dumps(dict(options)) for name, options in stages.items()}


def family_keys(schema: type[BaseModel], variant: str) -> dict[str, str]:
    """Which option of a model family an infotext key means, for this variant."""
    roles = {name: field.json_schema_extra for name, field in schema.model_fields.items()}
    return {
        str(role["infotext"]): name
        for name, role in roles.items()
        if isinstance(role, dict) and "infotext" in role and _serves(role.get("variants"), variant)
    }


def _serves(variants: Any, variant: str) -> bool:
    return not isinstance(variants, Sequence) or variant in variants
