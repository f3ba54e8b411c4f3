"""Registers the samplers and schedulers; their code is imported on use."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.sampling import Option, SamplerInfo, SchedulerInfo
from sfumato_samplers.options import CHURN, ETA, S_NOISE

SFUMATO_API = "1.0"


@hookimpl
def register_samplers(samplers: Registrar[SamplerInfo]) -> None:
    _register_euler_samplers(samplers)
    _register_dpmpp_samplers(samplers)


def _register_euler_samplers(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "euler",
        "sfumato_samplers.euler:euler",
        label="Euler",
        aliases=("k_euler", "sample_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
        summary="Plain and dependable; the usual choice for flow models.",
        options=CHURN,
    )
    samplers.add(
        "euler_ancestral",
        "sfumato_samplers.euler_ancestral:euler_ancestral",
        label="Euler a",
        aliases=(
            "euler_a",
            "k_euler_a",
            "k_euler_ancestral",
            "sample_euler_ancestral",
            "EulerAncestralDiscreteScheduler",
        ),
        summary="Euler with fresh noise: lively, soft pictures that keep changing with more steps.",
        stochastic=True,
        options=(ETA, S_NOISE),
    )
    samplers.add(
        "heun",
        "sfumato_samplers.heun:heun",
        label="Heun",
        aliases=("k_heun", "sample_heun", "HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
        summary="More exact than Euler at the same number of steps, for twice the time.",
        order=2,
        evaluations_per_step=2,
        options=CHURN,
    )


def _register_dpmpp_samplers(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "dpmpp_2m",
        "sfumato_samplers.dpmpp_2m:dpmpp_2m",
        label="DPM++ 2M",
        aliases=("k_dpmpp_2m", "sample_dpmpp_2m", "DPMSolverMultistepScheduler"),
        summary="Second order at Euler's price: sharp in 20 to 30 steps.",
        order=2,
        preferred_scheduler="karras",
    )
    samplers.add(
        "dpmpp_sde",
        "sfumato_samplers.dpmpp_sde:dpmpp_sde",
        label="DPM++ SDE",
        aliases=("dpmpp_sde_gpu", "k_dpmpp_sde", "sample_dpmpp_sde", "DPMSolverSDEScheduler"),
        summary="Rich detail in few steps, at two evaluations each.",
        order=2,
        evaluations_per_step=2,
        stochastic=True,
        preferred_scheduler="karras",
        options=(
            ETA,
            S_NOISE,
            Option(
                name="r",
                default=0.5,
                minimum=0.05,
                maximum=1,
                description="Where in the step the model is evaluated again, as a fraction of it in log-SNR.",
            ),
        ),
    )
    samplers.add(
        "dpmpp_2m_sde",
        "sfumato_samplers.dpmpp_2m_sde:dpmpp_2m_sde",
        label="DPM++ 2M SDE",
        aliases=("dpmpp_2m_sde_gpu", "k_dpmpp_2m_sde", "sample_dpmpp_2m_sde"),
        summary="DPM++ 2M with fresh noise: more texture for the same time, best from 25 steps up.",
        order=2,
        stochastic=True,
        preferred_scheduler="karras",
        options=(
            ETA,
            S_NOISE,
            Option(
                name="solver_type",
                default="midpoint",
                choices=("midpoint", "heun"),
                description="How the change of the estimate enters a step; heun is a little sharper.",
            ),
        ),
    )


@hookimpl
def register_schedulers(schedulers: Registrar[SchedulerInfo]) -> None:
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
