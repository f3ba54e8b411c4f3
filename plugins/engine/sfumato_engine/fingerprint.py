"""Which requests need the same memory and time: a fingerprint of all that changes either."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sfumato.events import CancelToken
from sfumato_engine.pass_prompts import Prompts
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings
from sfumato_engine.stages import Stages

SETTINGS = (
    "dtype",
    "quantisation",
    "keep_dequantised",
    "cfg_batching",
    "vae_tiling",
    "vae_tile",
    "vae_overlap",
    "memory_budget",
    "memory_reserve",
    "preview_every",
    "preview_decoder",
)
"""Settings of the engine that change what a request takes."""


def fingerprint_of(resolved: ResolvedRequest, settings: EngineSettings) -> str:
    """Equal for requests that need the same memory and time."""
    facts = json.dumps(what_matters(resolved, settings), sort_keys=True, default=str)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def what_matters(resolved: ResolvedRequest, settings: EngineSettings) -> dict[str, Any]:
    """Whatever changes the memory and time that a request needs: not the words, not the seed."""
    request = resolved.request
    return {
        "passes": [_of_a_pass(one) for one in resolved.passes],
        "pictures": (request.batch_size, request.count),
        "hires": request.hires and request.hires.upscaler,
        "refiner": request.refiner and (request.refiner.switch_at, request.refiner.by_steps),
        "start": [
            request.img2img is not None,
            request.inpaint and (request.inpaint.area, request.inpaint.soft is not None),
            request.outpaint is not None,
        ],
        "stages": [(stage.entry.info.name, dict(stage.options)) for stage in resolved.stages],
        "faces": request.face_restorer,
        "settings": [getattr(settings, name) for name in SETTINGS],
    }


def prompts_of(resolved: ResolvedRequest) -> Prompts:
    """The prompts of a pass as they are written: what stages of plugins would make of them is not asked."""
    return Prompts.of(resolved, Stages((), resolved.request), CancelToken())


def _of_a_pass(resolved: ResolvedRequest) -> dict[str, Any]:
    request, prompts = resolved.request, prompts_of(resolved)
    steps = resolved.denoising.run(resolved.steps) if resolved.denoising else resolved.steps
    return {
        "model": (resolved.info.name, resolved.info.size_bytes, dict(request.parts)),
        "options": _without_strengths(resolved.model_options),
        "sampler": (resolved.sampler.info.name, _without_strengths(resolved.sampler_options)),
        "steps": steps,
        "size": resolved.size,
        "evaluations": prompts.count,
        "guided": (request.guidance_start, request.guidance_end, request.negative_minimum_sigma),
        "regions": len(request.regions),
        "adapters": sorted((use.tag, use.name) for use in prompts.uses),
    }


def _without_strengths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Choices and counts: a number with a fraction scales what is computed anyway."""
    return {name: value for name, value in options.items() if not isinstance(value, float)}
