"""Euler's method and its nearest relatives."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import SamplerInfo
from sfumato_samplers.options import CHURN, ETA, S_NOISE


def add_to(samplers: Registrar[SamplerInfo]) -> None:
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
