"""The field ``infotext``: what a request leaves out is taken from an infotext."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from sfumato.errors import SfumatoError
from sfumato.studio import Studio
from sfumato_api_a1111.bodies import checked
from sfumato_api_a1111.generation_fields import GenerationFields
from sfumato_api_a1111.state import Api

log = logging.getLogger(__name__)

Asked = TypeVar("Asked", bound=GenerationFields)

_FIELDS: Mapping[str, str] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Distilled CFG Scale": "distilled_cfg_scale",
    "Seed": "seed",
    "Size-1": "width",
    "Size-2": "height",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Seed resize from-1": "seed_resize_from_w",
    "Seed resize from-2": "seed_resize_from_h",
    "Denoising strength": "denoising_strength",
    "Hires upscale": "hr_scale",
    "Hires resize-1": "hr_resize_x",
    "Hires resize-2": "hr_resize_y",
    "Hires upscaler": "hr_upscaler",
    "Hires steps": "hr_second_pass_steps",
    "Hires prompt": "hr_prompt",
    "Hires negative prompt": "hr_negative_prompt",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires checkpoint": "hr_checkpoint_name",
    "Refiner": "refiner_checkpoint",
    "Refiner switch at": "refiner_switch_at",
    "Mask blur": "mask_blur",
}
_OPTIONS: Mapping[str, str] = {
    "Model": "sd_model_checkpoint",
    "VAE": "sd_vae",
    "Clip skip": "CLIP_stop_at_last_layers",
    "ENSD": "eta_noise_seed_delta",
    "RNG": "randn_source",
    "Emphasis": "emphasis",
}
_GIVES_A_SECOND_PASS = ("Hires upscale", "Hires upscaler", "Hires steps")


def parameters_of(text: str, studio: Studio) -> dict[str, Any]:
    """The flat dictionary that A1111 makes of an infotext; empty where no plugin reads any."""
    try:
        answer = studio.ask("infotext_parameters", text=text)
    except SfumatoError:
        log.warning("An infotext could not be read", exc_info=True)
        return {}
    found: dict[str, Any] = answer.model_dump()["parameters"]
    return found


def filled_in(asked: Asked, api: Api) -> Asked:
    """The fields with those that were left out taken from ``infotext``, where it is given."""
    if not asked.infotext:
        return asked
    told = parameters_of(asked.infotext, api.studio)
    given = asked.model_dump(exclude_unset=True)
    known = type(asked).model_fields
    taken = {name: told[key] for key, name in _FIELDS.items() if key in told and name in known}
    if any(key in told for key in _GIVES_A_SECOND_PASS) and "enable_hr" in known:
        taken["enable_hr"] = True
    options = {name: told[key] for key, name in _OPTIONS.items() if key in told}
    options |= asked.override_settings or {}
    return checked(type(asked), {**taken, **given, "override_settings": options})
