"""What txt2img and img2img answer: ``{"images", "parameters", "info"}``."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sfumato.jobs import Job
from sfumato.records import ImageRecord
from sfumato.request import SEED_LIMIT, GenerationRequest
from sfumato_api_a1111 import overrides
from sfumato_api_a1111.generation_fields import GenerationFields
from sfumato_api_a1111.pictures_out import encoded, encoded_grid, shown_infotext
from sfumato_pictures import infotext

_OWN_KEYS = (
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "VAE hash",
    "VAE", "Variation seed", "Variation seed strength", "Seed resize from", "Denoising strength", "Clip skip",
    "Face restoration", "ENSD", "RNG", "Tiling", "Version", "Conditional mask weight",
)  # fmt: skip
"""Fields of an infotext that ``info`` has keys of its own for, or that A1111 does not count as extra."""


@dataclass(frozen=True)
class Finished:
    """A request of A1111's API whose work is over.

    Attributes:
        base: The request as it was submitted; seeds that were open are drawn.
        total: Pictures that were asked for.
    """

    fields: GenerationFields
    options: Mapping[str, Any]
    base: GenerationRequest
    jobs: tuple[Job, ...]
    images: tuple[ImageRecord, ...]
    total: int

    @property
    def has_grid(self) -> bool:
        wanted = bool(self.options.get("return_grid", True)) and bool(self.fields.save_images)
        return wanted and len(self.images) > 1 and not self.fields.script_name

    @property
    def infotexts(self) -> list[str]:
        texts = [shown_infotext(image.infotext, self.options) for image in self.images]
        return [texts[0], *texts] if self.has_grid else texts


def answer(finished: Finished) -> dict[str, Any]:
    """The whole answer."""
    fields = finished.fields
    images: list[str] = []
    if fields.send_images is not False:
        options = finished.options
        images = [encoded(image.path, image.infotext, options) for image in finished.images]
        if finished.has_grid:
            paths = [image.path for image in finished.images]
            size = finished.base.batch_size
            grid = encoded_grid(paths, finished.infotexts[0], size, options)
            images.insert(0, base64.b64encode(grid).decode("ascii"))
    return {"images": images, "parameters": parameters(fields), "info": json.dumps(info(finished))}


def parameters(fields: GenerationFields) -> dict[str, Any]:
    """The request with its defaults; pictures are sent back only where that is asked for."""
    values = fields.model_dump(mode="json")
    if "init_images" in values and not values.get("include_init_images"):
        values["init_images"] = values["mask"] = None
    return values


def info(finished: Finished) -> dict[str, Any]:
    """The members of ``info``, of what was drawn and how."""
    fields, base, filled = finished.fields, finished.base, finished.fields.filled()
    texts = [infotext.read(image.infotext) for image in finished.images]
    first = texts[0].fields if texts else {}
    own = [image.request for image in finished.images]
    prompts = _complete([one.prompt for one in own], base.prompt, finished.total)
    negatives = _complete([one.negative_prompt for one in own], base.negative_prompt, finished.total)
    seeds, subseeds = _seeds(finished), _subseeds(finished)
    start = base.img2img or base.hires
    return {
        "prompt": prompts[0],
        "all_prompts": prompts,
        "negative_prompt": negatives[0],
        "all_negative_prompts": negatives,
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": base.variation_strength,
        "width": base.width or filled.width,
        "height": base.height or filled.height,
        "sampler_name": first.get("Sampler") or str(base.sampler or ""),
        "cfg_scale": base.cfg_scale,
        "steps": base.steps,
        "batch_size": base.batch_size,
        "restore_faces": base.face_restorer is not None,
        "face_restoration_model": base.face_restorer,
        "sd_model_name": first.get("Model") or str(base.model or ""),
        "sd_model_hash": first.get("Model hash", ""),
        "sd_vae_name": first.get("VAE"),
        "sd_vae_hash": first.get("VAE hash"),
        "seed_resize_from_w": filled.seed_resize_from_w,
        "seed_resize_from_h": filled.seed_resize_from_h,
        "denoising_strength": start.denoising_strength if start else filled.denoising_strength,
        "extra_generation_params": {key: text for key, text in first.items() if key not in _OWN_KEYS},
        "index_of_first_image": 1 if finished.has_grid else 0,
        "infotexts": finished.infotexts,
        "styles": list(fields.styles or []),
        "job_timestamp": finished.jobs[0].created.strftime("%Y%m%d%H%M%S"),
        "clip_skip": base.clip_skip
        or max(overrides.whole(finished.options, "CLIP_stop_at_last_layers", 1), 1),
        "is_using_inpainting_conditioning": False,
        "version": f"sfumato {version('sfumato-kernel')}",
    }


def _complete(known: Sequence[str], rest: str, total: int) -> list[str]:
    """As many as were asked for, also where the work was cut short."""
    return [*known, *[rest] * (max(total, 1) - len(known))]


def _seeds(finished: Finished) -> list[int]:
    made = [image.seed for image in finished.images]
    base = finished.base
    if finished.fields.script_name:
        return made or [base.seed]
    step = 0 if base.variation_strength else 1
    return made + [(base.seed + step * i) % SEED_LIMIT for i in range(len(made), max(finished.total, 1))]


def _subseeds(finished: Finished) -> list[int]:
    """Counted up from the first, which is drawn here where nothing was done with it."""
    base = finished.base
    first = base.variation_seed if base.variation_seed >= 0 else secrets.randbelow(SEED_LIMIT - 1)
    count = max(finished.total, len(finished.images), 1)
    return [(first + index) % SEED_LIMIT for index in range(count)]
