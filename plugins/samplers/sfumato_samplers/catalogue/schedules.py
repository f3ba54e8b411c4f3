"""The noise schedules."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SchedulerInfo


def add_to(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "karras",
        "sfumato_samplers.schedules.karras:karras",
        label="Karras",
        aliases=("get_sigmas_karras",),
        summary="Most steps where noise is low; the classic companion of the DPM++ samplers.",
        options=(
            Option(
                name="rho",
                default=7.0,
                minimum=1,
                maximum=100,
                description="How far steps crowd at low noise.",
            ),
        ),
    )
    schedulers.add(
        "simple",
        "sfumato_samplers.schedules.simple:simple",
        label="Simple",
        summary="Equal strides through the trained noise levels; a good default for every model.",
    )
    schedulers.add(
        "normal",
        "sfumato_samplers.schedules.normal:normal",
        label="Normal",
        summary="Equal steps in training time down to the lowest trained noise level.",
    )
    schedulers.add(
        "beta",
        "sfumato_samplers.schedules.beta:beta",
        label="Beta",
        summary="More steps at the start and the end, fewer between.",
        options=tuple(
            Option(
                name=name, default=0.6, minimum=0.3, maximum=5, description=f"Lower: more steps at the {end}."
            )
            for name, end in (("alpha", "end"), ("beta", "start"))
        ),
    )
    schedulers.add(
        "flow",
        "sfumato_samplers.schedules.flow:flow",
        label="Flow",
        aliases=("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
        summary="Equal steps in flow time under the model's shift; how Flux and SD3 were published.",
        predictions=("flow",),
        options=(
            Option(
                name="shift",
                default=0.0,
                minimum=0,
                maximum=100,
                description="Time shift: above 1 more steps at high noise; 0 takes the model's own.",
            ),
        ),
    )
