"""The DPM-Solver++ family."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SamplerInfo
from sfumato_samplers.options import ETA, S_NOISE


def add_to(samplers: Registrar[SamplerInfo]) -> None:
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
