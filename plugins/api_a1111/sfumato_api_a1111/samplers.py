"""Samplers and schedulers by the names of A1111, which takes what it does not know for its first one."""

from __future__ import annotations

import logging
from typing import Any

from sfumato.errors import UnknownName
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.sampler_names import AUTOMATIC, resolve_sampler
from sfumato.sampling import Prediction, SamplerInfo, SchedulerInfo

log = logging.getLogger(__name__)

FIRST = "DPM++ 2M"
"""What A1111 takes for a name that it does not know."""
UNIFORM = "uniform"
"""A1111's schedule for samplers that have none of their own."""
OWN_LEVELS = ("DDIM", "DDIM CFG++", "PLMS", "UniPC", "LCM")
"""A1111's samplers whose noise levels go with them."""

_IN_ORDER = (
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",
    "Euler", "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++",
    "PLMS", "UniPC", "LCM",
)  # fmt: skip


def chosen(
    name: str | None, scheduler: str | None, registries: Registries
) -> tuple[Entry[SamplerInfo], Entry[SchedulerInfo] | None]:
    """The sampler and the scheduler that a client means; a scheduler left open, or unknown, is None."""
    wanted = scheduler if scheduler and scheduler in registries.schedulers else None
    if scheduler and wanted is None:
        log.warning("There is no scheduler '%s': it is left to the sampler", scheduler)
    try:
        return resolve_sampler(registries.samplers, registries.schedulers, name or FIRST, wanted)
    except UnknownName:
        log.warning("There is no sampler '%s': '%s' is taken", name, FIRST)
        return resolve_sampler(registries.samplers, registries.schedulers, FIRST, wanted)


def scheduler_left_open(
    sampler: SamplerInfo, prediction: Prediction | None, registries: Registries
) -> str | None:
    """A1111's choice where none is named; None leaves it to the sampler and the model."""
    if prediction == "flow" or sampler.preferred_scheduler or sampler.label in OWN_LEVELS:
        return None
    return UNIFORM if UNIFORM in registries.schedulers else None


def list_samplers(registries: Registries) -> list[dict[str, Any]]:
    """As ``/samplers`` tells them, A1111's first and in its order."""
    entries = sorted(registries.samplers, key=_place)
    return [
        {
            "name": entry.info.label,
            "aliases": list(entry.info.aliases),
            "options": _sampler_options(entry.info),
        }
        for entry in entries
    ]


def _place(entry: Entry[SamplerInfo]) -> tuple[int, str]:
    label = entry.info.label
    return (_IN_ORDER.index(label) if label in _IN_ORDER else len(_IN_ORDER), label)


def _sampler_options(info: SamplerInfo) -> dict[str, Any]:
    options: dict[str, Any] = {"uses_ensd": True} if info.stochastic else {}
    if info.preferred_scheduler:
        options["scheduler"] = info.preferred_scheduler
    if info.order > 1:
        options["second_order"] = True
    return options


def list_schedulers(registries: Registries) -> list[dict[str, Any]]:
    """As ``/schedulers`` tells them, "automatic" first."""
    entries = sorted(registries.schedulers, key=lambda entry: (entry.info.name != AUTOMATIC, entry.info.name))
    return [
        {
            "name": entry.info.name,
            "label": entry.info.label,
            "aliases": list(entry.info.aliases) or None,
            "default_rho": next((o.default for o in entry.info.options if o.name == "rho"), -1.0),
            "need_inner_model": False,
        }
        for entry in entries
    ]
