"""The DPM-Solver family of the second and third order, in k-diffusion's forms."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SamplerInfo
from sfumato_samplers.options import CHURN, ETA, NO_ETA, S_NOISE

STEP_CONTROL = (
    Option(name="order", default=3, minimum=2, maximum=3, description="Order of the steps: 2 or 3."),
    Option(
        name="rtol",
        default=0.05,
        minimum=0.001,
        maximum=1,
        description="Tolerated error as a share of the latents: lower takes more and smaller steps.",
    ),
    Option(
        name="atol",
        default=0.0078,
        minimum=0.0001,
        maximum=1,
        description="Tolerated error where latents are near 0.",
    ),
    Option(
        name="pcoeff",
        default=0.0,
        minimum=0,
        maximum=1,
        description="How strongly the change of the error steers the size of steps.",
    ),
    Option(
        name="icoeff",
        default=1.0,
        minimum=0.1,
        maximum=1,
        description="How strongly the error itself steers the size of steps.",
    ),
    Option(
        name="dcoeff",
        default=0.0,
        minimum=0,
        maximum=1,
        description="How strongly the bend of the error steers the size of steps.",
    ),
    Option(
        name="accept_safety",
        default=0.81,
        minimum=0.1,
        maximum=1,
        description="A step is taken again where the next would have to be smaller than this share of it.",
    ),
)


def add_to(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "dpm_2",
        "sfumato_samplers.dpm_2:dpm_2",
        label="DPM2",
        aliases=("k_dpm_2", "sample_dpm_2", "KDPM2DiscreteScheduler"),
        summary="Second order with a look at the middle of each step; twice the time of Euler.",
        order=2,
        evaluations_per_step=2,
        skips_last_level=True,
        preferred_scheduler="karras",
        options=CHURN,
    )
    samplers.add(
        "dpm_2_ancestral",
        "sfumato_samplers.dpm_2_ancestral:dpm_2_ancestral",
        label="DPM2 a",
        aliases=(
            "dpm_2_a",
            "k_dpm_2_a",
            "k_dpm_2_ancestral",
            "sample_dpm_2_ancestral",
            "KDPM2AncestralDiscreteScheduler",
        ),
        summary="DPM2 with fresh noise: richer than Euler a, at twice the time.",
        order=2,
        evaluations_per_step=2,
        stochastic=True,
        skips_last_level=True,
        preferred_scheduler="karras",
        options=(ETA, S_NOISE),
    )
    samplers.add(
        "dpm_fast",
        "sfumato_samplers.dpm_fast:dpm_fast",
        label="DPM fast",
        aliases=("k_dpm_fast", "sample_dpm_fast"),
        summary="Third-order steps of one size in log-SNR; of historical interest.",
        order=3,
        own_levels=True,
        options=(NO_ETA, S_NOISE),
    )
    samplers.add(
        "dpm_adaptive",
        "sfumato_samplers.dpm_adaptive:dpm_adaptive",
        label="DPM adaptive",
        aliases=("k_dpm_ad", "k_dpm_adaptive", "sample_dpm_adaptive"),
        summary="Takes as many steps as the tolerated error asks for, whatever their number was set to.",
        order=3,
        evaluations_per_step=3,
        own_levels=True,
        one_by_one=True,
        options=(*STEP_CONTROL, NO_ETA, S_NOISE),
    )
