"""What a request asks for in vain: told, because nothing in the picture would tell it.

What only seems to be in vain is never told: a sampler whose options were changed may add noise.
"""

from __future__ import annotations

from collections.abc import Iterable

from sfumato.request import GenerationRequest
from sfumato_engine.resolution import ResolvedRequest, changed_options

GUIDANCE = ("cfg_rescale", "guidance_start", "guidance_end", "negative_minimum_sigma")
"""Fields that guide the steps which use the negative prompt."""


def without_effect(resolved: ResolvedRequest) -> list[str]:
    """What the request alone shows, before the model is loaded."""
    request, sampler = resolved.request, resolved.sampler.info
    tree = sampler.interval_noise and request.step_noise == "brownian_tree"
    may_add_noise = sampler.stochastic or changed_options(sampler.options, resolved.sampler_options)
    with_sampler = f"with the sampler '{sampler.label}'"
    told = _ignored(resolved)
    if not request.variation_strength:
        told += _told(request, ["variation_seed"], " at variation strength 0")
    if not request.negative_minimum_sigma:
        told += _told(request, ["negative_minimum_sigma_all"], " without a minimum sigma")
    if not sampler.interval_noise:
        told += _told(request, ["step_noise"], f" {with_sampler}")
    if tree or not may_add_noise:
        told += _told(request, ["noise_seed_delta"], " on a Brownian tree" if tree else f" {with_sampler}")
    if _resizes_to_itself(resolved):
        told.append("Seed resize has no effect: it is this picture's own size.")
    return told


def without_guidance(resolved: ResolvedRequest, *, at_this_scale: bool) -> list[str]:
    """What the request asks for in vain when no step is guided.

    Args:
        at_this_scale: The CFG scale leaves the negative prompt no share; else no step is in its range.
    """
    request, at_scale = resolved.request, f" at CFG scale {resolved.cfg_scale:g}"
    told = []
    if not resolved.sampler.info.needs_unconditional:
        told += _told(request, ["negative_prompt"], at_scale if at_this_scale else ": no step uses it")
    if at_this_scale:
        return told + _told(request, GUIDANCE, at_scale)
    return told + _told(request, ["cfg_rescale"], ": no step is guided")


def _ignored(resolved: ResolvedRequest) -> list[str]:
    usual = {**GenerationRequest().model_dump(), **resolved.info.defaults.model_dump()}
    changed = [name for name in resolved.info.ignores if getattr(resolved.request, name) != usual[name]]
    return [f"{_title(name)} has no effect on '{resolved.info.name}'." for name in changed]


def _told(request: GenerationRequest, names: Iterable[str], why: str) -> list[str]:
    """A sentence for each field that is not at its default."""
    fields = GenerationRequest.model_fields
    changed = [name for name in names if getattr(request, name) != fields[name].default]
    return [f"{_title(name)} has no effect{why}." for name in changed]


def _title(name: str) -> str:
    return str(GenerationRequest.model_fields[name].title)


def _resizes_to_itself(resolved: ResolvedRequest) -> bool:
    request, (width, height) = resolved.request, resolved.size
    asked = request.seed_resize_width, request.seed_resize_height
    return any(asked) and (asked[0] or width, asked[1] or height) == (width, height)
