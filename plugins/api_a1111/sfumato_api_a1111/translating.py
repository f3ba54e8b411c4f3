"""A request of A1111's API as a request of ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfumato.models import ModelFamily, ModelInfo
from sfumato.request import RANDOM_SEED, GenerationRequest
from sfumato.request.schema import checked
from sfumato.sampling import SamplerInfo
from sfumato.studio import Studio
from sfumato_api_a1111 import overrides
from sfumato_api_a1111.checkpoints import current_checkpoint, find_checkpoint
from sfumato_api_a1111.errors import failure
from sfumato_api_a1111.generation_fields import GenerationFields, Txt2ImgFields
from sfumato_api_a1111.option_store import CHECKPOINT
from sfumato_api_a1111.samplers import chosen, scheduler_left_open

log = logging.getLogger(__name__)

NOISE_SOURCES = {"GPU": "nv", "NV": "nv", "CPU": "cpu"}
EMPHASIS = {"Original": "original", "No norm": "no_norm", "Ignore": "ignore", "None": "none"}
NOTHING = ("", "None", "Automatic")
"""Values of options that name a file, where none is named."""
LONGEST_CLIP_SKIP = 12
HIRES_DENOISING = 0.75
"""What A1111 begins with where a request leaves it open."""

_EXTRA_NETWORK = re.compile(r"<\w+:[^>]+>")
_LIKE_THE_FIRST = re.compile(r"Use same .*", re.IGNORECASE)
_SIGMAS = ("s_churn", "s_tmin", "s_tmax", "s_noise")
_SCHEDULE_OPTIONS = ("sigma_min", "sigma_max", "rho")
_PLAIN_MULTIPLE, _FLOW_MULTIPLE = 8, 16


@dataclass(frozen=True)
class Means:
    """What a translation looks things up in.

    Attributes:
        options: A1111's options, those that the request overrides among them.
    """

    studio: Studio
    options: Mapping[str, Any]


def translated(fields: GenerationFields, means: Means, **more: Any) -> GenerationRequest:
    """The request that the fields mean.

    Args:
        fields: As they came.
        more: Further fields of our request.

    Raises:
        BadInput: a value that our request cannot have.
        Refusal: a model for the refiner or the second pass that there is not.
    """
    sent, fields = fields.model_fields_set, fields.filled()
    info = _model(means)
    values: dict[str, Any] = {
        **_prompts(fields, means),
        **_noise(fields, means),
        **_method(fields, means, info),
        **_model_values(fields, means, info, "distilled_cfg_scale" in sent),
        **_size(fields, info),
        "steps": fields.steps,
        "cfg_scale": fields.cfg_scale,
        "batch_size": fields.batch_size,
        "count": fields.n_iter,
        "tiling": overrides.flag(means.options, "tiling") if fields.tiling is None else fields.tiling,
        "face_restorer": _face_restorer(fields, means),
        "refiner": _refiner(fields, means),
    }
    if isinstance(fields, Txt2ImgFields) and fields.enable_hr:
        values["hires"] = _hires(fields, means, "hr_cfg" in sent)
    return checked(GenerationRequest, {**values, **more})


def _model(means: Means) -> ModelInfo | None:
    library, registries = means.studio.library, means.studio.registries
    found = current_checkpoint(means.options.get(CHECKPOINT), library, registries)
    return found.info if found else None


def _prompts(fields: GenerationFields, means: Means) -> dict[str, Any]:
    prompt, negative_prompt = fields.prompt or "", fields.negative_prompt or ""
    lora = overrides.text(means.options, "sd_lora")
    if lora not in NOTHING:
        strength = overrides.number(means.options, "extra_networks_default_multiplier", 1.0)
        prompt = f"{prompt}<lora:{lora}:{strength:g}>"
    if fields.disable_extra_networks:
        prompt, negative_prompt = _EXTRA_NETWORK.sub("", prompt), _EXTRA_NETWORK.sub("", negative_prompt)
    emphasis = EMPHASIS.get(overrides.text(means.options, "emphasis"), "original")
    clip_skip = overrides.whole(means.options, "CLIP_stop_at_last_layers", 1)
    return {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "styles": known_styles(fields.styles or [], means.studio),
        "emphasis": emphasis,
        "clip_skip": min(clip_skip, LONGEST_CLIP_SKIP) if clip_skip > 1 else None,
    }


def known_styles(names: list[str], studio: Studio) -> tuple[str, ...]:
    """Those of the styles that there are: A1111 passes over the others."""
    if not names:
        return ()
    from sfumato_pictures.styles import style_book

    book = style_book(studio.settings.saving)
    return tuple(name for name in names if name in book)


def _noise(fields: GenerationFields, means: Means) -> dict[str, Any]:
    source = overrides.text(means.options, "randn_source").upper()
    return {
        "seed": _seed(fields.seed),
        "variation_seed": _seed(fields.subseed),
        "variation_strength": fields.subseed_strength,
        "seed_resize_width": max(fields.seed_resize_from_w or 0, 0),
        "seed_resize_height": max(fields.seed_resize_from_h or 0, 0),
        "noise_seed_delta": max(overrides.whole(means.options, "eta_noise_seed_delta", 0), 0),
        "noise_source": NOISE_SOURCES.get(source, "nv"),
    }


def _seed(seed: int | None) -> int:
    return RANDOM_SEED if seed is None or seed < 0 else seed


def _method(fields: GenerationFields, means: Means, info: ModelInfo | None) -> dict[str, Any]:
    """Sampler, scheduler and their options."""
    registries = means.studio.registries
    name = fields.sampler_name or fields.sampler_index
    sampler, scheduler = chosen(name, fields.scheduler, registries)
    prediction = info.prediction if info else None
    left_open = scheduler_left_open(sampler.info, prediction, registries)
    scheduler_name = scheduler.info.name if scheduler else left_open
    options = _sampler_options(fields, means.options, sampler.info)
    known = {option.name for option in scheduler.info.options} if scheduler else set()
    for key in _SCHEDULE_OPTIONS:
        value = overrides.number(means.options, key, 0.0)
        if value and key in known:
            options[key] = value
    minimum = fields.s_min_uncond
    return {
        "sampler": sampler.info.name,
        "scheduler": scheduler_name,
        "sampler_options": options,
        "step_noise": "brownian_tree" if sampler.info.interval_noise else "path",
        "negative_minimum_sigma": overrides.number(means.options, "s_min_uncond", 0.0)
        if minimum is None
        else minimum,
        "negative_minimum_sigma_all": overrides.flag(means.options, "s_min_uncond_all"),
    }


def _sampler_options(
    fields: GenerationFields, options: Mapping[str, Any], sampler: SamplerInfo
) -> dict[str, float]:
    """Those that the sampler has; A1111 passes over the others."""
    known = {option.name: option.default for option in sampler.options}
    found: dict[str, float] = {}
    if "eta" in known:
        default = float(known["eta"])
        key = "eta_ddim" if sampler.label.startswith("DDIM") else "eta_ancestral"
        usual = 0.0 if key == "eta_ddim" else 1.0
        kept = overrides.number(options, key, usual)
        found["eta"] = fields.eta if fields.eta is not None else (default if kept == usual else kept)
    for key in _SIGMAS:
        if key in known:
            given = getattr(fields, key)
            value = overrides.number(options, key, float(known[key])) if given is None else given
            found[key] = value
    return {key: value for key, value in found.items() if value != known[key]}


def _model_values(
    fields: GenerationFields, means: Means, info: ModelInfo | None, guidance_sent: bool
) -> dict[str, Any]:
    """The model, its VAE and its guidance; a VAE that is not there is passed over, as in A1111."""
    values: dict[str, Any] = {"model": None}
    found = current_checkpoint(means.options.get(CHECKPOINT), means.studio.library, means.studio.registries)
    if found is not None:
        values["model"] = found.request_name
    vae = _vae(means)
    if vae:
        values["parts"] = {"autoencoder": vae}
    if guidance_sent and info is not None and info.family in means.studio.registries.model_families:
        family: type[ModelFamily] = means.studio.registries.model_families.get(info.family).load()
        if "guidance" in family.options.model_fields:
            values["model_options"] = {"guidance": fields.distilled_cfg_scale}
    return values


def _vae(means: Means) -> str | None:
    """The file name of the VAE that the options name."""
    files = means.studio.library.files("vae")
    modules = means.options.get("forge_additional_modules")
    named = [overrides.text(means.options, "sd_vae"), *(modules if isinstance(modules, list) else [])]
    for name in named:
        plain = str(name).replace("\\", "/").rpartition("/")[2]
        if plain in NOTHING:
            continue
        path = next((path for path in files if plain in (path.name, path.stem)), None)
        if path is not None:
            return path.name
        log.warning("There is no VAE '%s': the model's own is used", plain)
    return None


def _size(fields: GenerationFields, info: ModelInfo | None) -> dict[str, int]:
    """Rounded down to what latents can be, as A1111 does."""
    width, height = fields.width or 0, fields.height or 0
    if isinstance(fields, Txt2ImgFields):
        width, height = fields.firstphase_width or width, fields.firstphase_height or height
    multiple = _FLOW_MULTIPLE if info and info.prediction == "flow" else _PLAIN_MULTIPLE
    return {"width": width // multiple * multiple, "height": height // multiple * multiple}


def _face_restorer(fields: GenerationFields, means: Means) -> str | None:
    wanted = fields.restore_faces
    if wanted is None:
        wanted = overrides.flag(means.options, "face_restoration")
    return face_restorer(means) if wanted else None


def face_restorer(means: Means, name: str = "") -> str | None:
    """The one of that name, else the one that the options name, else the first; None where there is none."""
    registry = means.studio.registries.face_restorers
    for wanted in (name, overrides.text(means.options, "face_restoration_model")):
        if wanted and wanted in registry:
            return registry.get(wanted).info.name
    first = next(iter(registry), None)
    if first is None or name:
        log.warning("There is no face restorer '%s': faces stay as they are", name)
        return None
    return first.info.name


def _refiner(fields: GenerationFields, means: Means) -> dict[str, Any] | None:
    name = fields.refiner_checkpoint
    if not name or name in NOTHING or not fields.refiner_switch_at or fields.refiner_switch_at >= 1:
        return None
    return {
        "model": _other_model(name, means, "refiner"),
        "switch_at": fields.refiner_switch_at,
        "by_steps": overrides.flag(means.options, "refiner_switch_by_sample_steps"),
    }


def _other_model(name: str, means: Means, what: str) -> str:
    found = find_checkpoint(name, means.studio.library, means.studio.registries)
    if found is None:
        raise failure(f"Could not find {what} checkpoint with name '{name}'", error="Exception")
    return found.request_name


def _hires(fields: Txt2ImgFields, means: Means, cfg_sent: bool) -> dict[str, Any]:
    registries = means.studio.registries
    checkpoint = _own(fields.hr_checkpoint_name)
    sampler = scheduler = None
    if _own(fields.hr_sampler_name) or _own(fields.hr_scheduler):
        name = _own(fields.hr_sampler_name) or fields.sampler_name or fields.sampler_index
        found, schedule = chosen(name, _own(fields.hr_scheduler), registries)
        sampler = found.info.name
        scheduler = schedule.info.name if schedule else None
    denoising = fields.denoising_strength
    return {
        "scale": fields.hr_scale,
        "width": fields.hr_resize_x,
        "height": fields.hr_resize_y,
        "upscaler": _upscaler(fields.hr_upscaler, means),
        "steps": fields.hr_second_pass_steps,
        "denoising_strength": HIRES_DENOISING if denoising is None else denoising,
        "model": _other_model(checkpoint, means, "hires") if checkpoint else None,
        "sampler": sampler,
        "scheduler": scheduler,
        "prompt": fields.hr_prompt or None,
        "negative_prompt": fields.hr_negative_prompt or None,
        "cfg_scale": fields.hr_cfg if cfg_sent else None,
    }


def _own(name: str | None) -> str:
    """Nothing for what says that it is as in the first pass."""
    return "" if not name or _LIKE_THE_FIRST.fullmatch(name) or name in NOTHING else name


def _upscaler(name: str | None, means: Means) -> str:
    from sfumato.errors import UnknownName
    from sfumato.upscaling import find_upscaler

    try:
        return find_upscaler(name or "Latent", means.studio.registries, means.studio.library).name
    except UnknownName as error:
        raise failure(f"could not find upscaler named {name}", error="AssertionError") from error
