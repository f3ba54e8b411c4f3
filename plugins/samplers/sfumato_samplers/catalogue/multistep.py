"""Solvers that remember earlier evaluations."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SamplerInfo
from sfumato_samplers.options import ETA, S_NOISE


def add_to(samplers: Registrar[SamplerInfo]) -> None:
    _add_adams_bashforth(samplers)
    _add_exponential_integrators(samplers)
    _add_uni_pc(samplers)


def _add_adams_bashforth(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "lms",
        "sfumato_samplers.lms:lms",
        label="LMS",
        aliases=("k_lms", "sample_lms", "LMSDiscreteScheduler"),
        summary="The classic multistep solver: exact at 30 steps and more, rough at few.",
        order=4,
        options=(_order(4, maximum=4),),
    )
    samplers.add(
        "plms",
        "sfumato_samplers.plms:plms",
        label="PLMS",
        aliases=("pndm", "sample_plms", "PNDMScheduler"),
        summary="The sampler of Stable Diffusion's first release, for equal steps in training time.",
        order=4,
        preferred_scheduler="ddim",
    )
    samplers.add(
        "ipndm",
        "sfumato_samplers.ipndm:ipndm",
        label="IPNDM",
        aliases=("sample_ipndm", "IPNDMScheduler"),
        summary="High order at Euler's price, best on schedules whose steps change little.",
        order=4,
        options=(_order(4, maximum=4),),
    )
    samplers.add(
        "ipndm_v",
        "sfumato_samplers.ipndm_v:ipndm_v",
        label="IPNDM_V",
        aliases=("sample_ipndm_v",),
        summary="IPNDM with weights that follow the schedule's steps.",
        order=4,
        options=(_order(4, maximum=4),),
    )
    samplers.add(
        "gradient_estimation",
        "sfumato_samplers.gradient_estimation:gradient_estimation",
        label="Gradient estimation",
        aliases=("sample_gradient_estimation",),
        summary="Euler with a bolder slope: good pictures in few steps.",
        options=(
            Option(
                name="gamma",
                default=2.0,
                minimum=1,
                maximum=5,
                description="How far the slope is carried on beyond the last one: 1 is Euler.",
            ),
        ),
    )


def _add_exponential_integrators(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "deis",
        "sfumato_samplers.deis:deis",
        label="DEIS",
        aliases=("sample_deis", "DEISMultistepScheduler"),
        summary="Third order in the noise estimate: quick to settle, 10 to 20 steps.",
        order=3,
        options=(
            _order(3, maximum=4),
            Option(
                name="interpolation",
                default="time",
                choices=("time", "log_ratio"),
                description="What slopes are extrapolated in: time as in ComfyUI, log_ratio as in diffusers.",
            ),
        ),
    )
    samplers.add(
        "res_multistep",
        "sfumato_samplers.res_multistep:res_multistep",
        label="RES multistep",
        aliases=("sample_res_multistep",),
        summary="A second-order exponential solver, close to DPM++ 2M and a little calmer.",
        order=2,
    )
    samplers.add(
        "res_multistep_ancestral",
        "sfumato_samplers.res_multistep:res_multistep_ancestral",
        label="RES multistep ancestral",
        aliases=("sample_res_multistep_ancestral",),
        summary="RES multistep with fresh noise in every step.",
        order=2,
        stochastic=True,
        options=(ETA, S_NOISE),
    )
    samplers.add(
        "er_sde",
        "sfumato_samplers.er_sde:er_sde",
        label="ER-SDE",
        aliases=("sample_er_sde",),
        summary="Strong fresh noise, three estimates remembered: fine detail in 20 to 30 steps.",
        order=2,
        stochastic=True,
        options=(ETA, S_NOISE, _order(3, maximum=3)),
    )


def _add_uni_pc(samplers: Registrar[SamplerInfo]) -> None:
    for name, variant, label, aliases, strength in (
        ("uni_pc", "bh1", "UniPC", ("unipc", "sample_unipc", "UniPCMultistepScheduler"), "10 to 20 steps"),
        ("uni_pc_bh2", "bh2", "UniPC bh2", ("unipc_bh2", "sample_unipc_bh2"), "10 steps or fewer"),
    ):
        samplers.add(
            name,
            "sfumato_samplers.uni_pc:uni_pc",
            label=label,
            aliases=aliases,
            summary=f"Corrects each step by the next evaluation, free of charge: good in {strength}.",
            order=4,
            skips_last_level=True,
            options=(
                _order(3, maximum=3),
                Option(
                    name="variant",
                    default=variant,
                    choices=("bh1", "bh2"),
                    description="The paper's B(h); bh2 corrects more at few steps.",
                ),
            ),
        )


def _order(default: int, maximum: int) -> Option:
    return Option(
        name="order",
        default=default,
        minimum=1,
        maximum=maximum,
        description="How many evaluations a step draws on: fewer is sturdier, more is more exact.",
    )
