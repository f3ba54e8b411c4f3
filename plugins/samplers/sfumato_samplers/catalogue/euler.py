"""Euler's method and its nearest relatives."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import SamplerInfo
from sfumato_samplers.options import CHURN, ETA, NO_ETA, S_NOISE


def add_to(samplers: Registrar[SamplerInfo]) -> None:
    _add_euler_and_heun(samplers)
    _add_ddim_and_lcm(samplers)
    _add_cfg_pp(samplers)


def _add_euler_and_heun(samplers: Registrar[SamplerInfo]) -> None:
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
    samplers.add(
        "heunpp2",
        "sfumato_samplers.heunpp2:heunpp2",
        label="HeunPP2",
        aliases=("k_heunpp2", "sample_heunpp2"),
        summary="Looks two steps ahead: a softer Heun, at three times the price of Euler.",
        evaluations_per_step=3,
        options=CHURN,
    )
    samplers.add(
        "restart",
        "sfumato_samplers.restart:restart",
        label="Restart",
        aliases=("k_restart", "sample_restart", "restart_sampler"),
        summary="Heun that goes back to a noisy level from 20 steps up, to mend early errors.",
        order=2,
        evaluations_per_step=2,
        stochastic=True,
        own_levels=True,
        preferred_scheduler="karras",
        options=(S_NOISE,),
    )


def _add_ddim_and_lcm(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "ddim",
        "sfumato_samplers.ddim:ddim",
        label="DDIM",
        aliases=("k_ddim", "sample_ddim", "DDIMScheduler"),
        summary="Euler's method under its older name; fresh noise on request.",
        preferred_scheduler="ddim",
        options=(NO_ETA, S_NOISE),
    )
    samplers.add(
        "ddpm",
        "sfumato_samplers.ddim:ddim",
        label="DDPM",
        aliases=("k_ddpm", "sample_ddpm", "DDPMScheduler"),
        summary="The sampling diffusion models began with: fresh noise in each step, and many steps.",
        stochastic=True,
        options=(ETA, S_NOISE),
    )
    samplers.add(
        "lcm",
        "sfumato_samplers.lcm:lcm",
        label="LCM",
        aliases=("k_lcm", "sample_lcm", "LCMScheduler", "FlowMatchLCMScheduler"),
        summary="For latent consistency models and LCM LoRAs: 2 to 8 steps, guidance scale 1 to 2.",
        stochastic=True,
        preferred_scheduler="sgm_uniform",
    )


def _add_cfg_pp(samplers: Registrar[SamplerInfo]) -> None:
    samplers.add(
        "euler_cfg_pp",
        "sfumato_samplers.euler_cfg_pp:euler_cfg_pp",
        label="Euler CFG++",
        aliases=("k_euler_cfg_pp", "sample_euler_cfg_pp"),
        summary="Euler under CFG++ guidance: natural colours at a guidance scale of 1 to 2.",
        needs_unconditional=True,
        options=(NO_ETA, S_NOISE),
    )
    samplers.add(
        "euler_ancestral_cfg_pp",
        "sfumato_samplers.euler_cfg_pp:euler_cfg_pp",
        label="Euler a CFG++",
        aliases=("euler_a_cfg_pp", "k_euler_ancestral_cfg_pp", "sample_euler_ancestral_cfg_pp"),
        summary="Euler a under CFG++ guidance: natural colours at a guidance scale of 1 to 2.",
        stochastic=True,
        needs_unconditional=True,
        options=(ETA, S_NOISE),
    )
    samplers.add(
        "ddim_cfg_pp",
        "sfumato_samplers.euler_cfg_pp:ddim_cfg_pp",
        label="DDIM CFG++",
        aliases=("ddim_cfgpp", "k_ddim_cfg_pp", "sample_ddim_cfg_pp"),
        summary="Euler CFG++ as A1111 has it: guidance scales of 5 to 12, divided by 12.5 inside.",
        needs_unconditional=True,
        preferred_scheduler="ddim",
        options=(NO_ETA, S_NOISE),
    )
