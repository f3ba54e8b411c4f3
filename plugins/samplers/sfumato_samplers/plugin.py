"""Registers the samplers and schedulers; their code is imported on use."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.sampling import SamplerInfo, SchedulerInfo
from sfumato_samplers.catalogue import dpm, dpmpp, euler, multistep, schedules

SFUMATO_API = "1.0"


@hookimpl
def register_samplers(samplers: Registrar[SamplerInfo]) -> None:
    for family in (euler, dpm, dpmpp, multistep):
        family.add_to(samplers)


@hookimpl
def register_schedulers(schedulers: Registrar[SchedulerInfo]) -> None:
    schedules.add_to(schedulers)
