"""The DPM-Solver++ family."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SamplerInfo
from sfumato_samplers.options import ETA, S_NOISE


def add_to(samplers: Registrar[SamplerInfo]) -> None:
    _add_multistep(samplers)
    _add_single_step(samplers)


def _add_multistep(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "dpmpp_2m",
        "sfumato_samplers.dpmpp_2m:dpmpp_2m",
        label="DPM++ 2M",
        aliases=(
            "k_dpmpp_2m",
            "sample_dpmpp_2m",
            "DPMSolverMultistepScheduler",
            "EDMDPMSolverMultistepScheduler",
        ),
        summary="Second order at Euler's price: sharp in 20 to 30 steps.",
        order=2,
        preferred_scheduler="karras",
    )
    for name, label, solver, difference in (
        ("dpmpp_2m_sde", "DPM++ 2M SDE", "midpoint", "more texture for the same time"),
        ("dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun", "heun", "a little sharper than DPM++ 2M SDE"),
    ):
        samplers.add(
            name,
            "sfumato_samplers.dpmpp_2m_sde:dpmpp_2m_sde",
            label=label,
            aliases=(f"{name}_gpu", f"k_{name}", f"sample_{name}"),
            summary=f"DPM++ 2M with fresh noise: {difference}, best from 25 steps up.",
            order=2,
            stochastic=True,
            interval_noise=True,
            preferred_scheduler="exponential",
            options=(ETA, S_NOISE, _solver_type(solver)),
        )
    samplers.add(
        "dpmpp_3m_sde",
        "sfumato_samplers.dpmpp_3m_sde:dpmpp_3m_sde",
        label="DPM++ 3M SDE",
        aliases=("dpmpp_3m_sde_gpu", "k_dpmpp_3m_sde", "sample_dpmpp_3m_sde"),
        summary="DPM++ 2M SDE with a longer memory: smooth and detailed, from 30 steps up.",
        order=2,  # k-diffusion's third estimate sharpens the second order, it does not raise it
        stochastic=True,
        interval_noise=True,
        skips_last_level=True,
        preferred_scheduler="exponential",
        options=(ETA, S_NOISE),
    )


def _add_single_step(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "dpmpp_sde",
        "sfumato_samplers.dpmpp_sde:dpmpp_sde",
        label="DPM++ SDE",
        aliases=("dpmpp_sde_gpu", "k_dpmpp_sde", "sample_dpmpp_sde", "DPMSolverSDEScheduler"),
        summary="Rich detail in few steps, at two evaluations each.",
        order=2,
        evaluations_per_step=2,
        stochastic=True,
        interval_noise=True,
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
        "dpmpp_2s_ancestral",
        "sfumato_samplers.dpmpp_2s_ancestral:dpmpp_2s_ancestral",
        label="DPM++ 2S a",
        aliases=("dpmpp_2s_a", "k_dpmpp_2s_a", "k_dpmpp_2s_ancestral", "sample_dpmpp_2s_ancestral"),
        summary="Euler a with a second evaluation in each step: lively pictures with more detail.",
        order=2,
        evaluations_per_step=2,
        stochastic=True,
        preferred_scheduler="karras",
        options=(ETA, S_NOISE),
    )


def _solver_type(default: str) -> Option:
    return Option(
        name="solver_type",
        default=default,
        choices=("midpoint", "heun"),
        description="How the change of the estimate enters a step; heun is a little sharper.",
    )
