"""What A1111, Forge, ComfyUI, k-diffusion and diffusers call samplers and schedulers, and what it is here."""

from __future__ import annotations

import inspect

import pytest

from sfumato.errors import UnknownName
from sfumato.sampler_names import resolve_sampler

from .analytic import registries

REGISTRIES = registries()

A1111_AND_FORGE = {
    "DPM++ 2M": "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde",
    "DPM++ 2M SDE": "dpmpp_2m_sde",
    "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun",
    "DPM++ 2S a": "dpmpp_2s_ancestral",
    "DPM++ 3M SDE": "dpmpp_3m_sde",
    "Euler a": "euler_ancestral",
    "Euler": "euler",
    "LMS": "lms",
    "Heun": "heun",
    "DPM2": "dpm_2",
    "DPM2 a": "dpm_2_ancestral",
    "DPM fast": "dpm_fast",
    "DPM adaptive": "dpm_adaptive",
    "Restart": "restart",
    "DDIM": "ddim",
    "DDIM CFG++": "ddim_cfg_pp",
    "PLMS": "plms",
    "UniPC": "uni_pc",
    "LCM": "lcm",
    "HeunPP2": "heunpp2",
    "IPNDM": "ipndm",
    "IPNDM_V": "ipndm_v",
    "DEIS": "deis",
    "DDPM": "ddpm",
}
A1111_ALIASES = {
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "k_dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "k_dpmpp_2s_a": "DPM++ 2S a",
    "k_dpmpp_3m_sde": "DPM++ 3M SDE",
    "k_euler_a": "Euler a",
    "k_euler_ancestral": "Euler a",
    "k_euler": "Euler",
    "k_lms": "LMS",
    "k_heun": "Heun",
    "k_dpm_2": "DPM2",
    "k_dpm_2_a": "DPM2 a",
    "k_dpm_fast": "DPM fast",
    "k_dpm_ad": "DPM adaptive",
    "restart": "Restart",
    "ddim": "DDIM",
    "ddim_cfgpp": "DDIM CFG++",
    "plms": "PLMS",
    "unipc": "UniPC",
    "k_lcm": "LCM",
    "heunpp2": "HeunPP2",
    "ipndm": "IPNDM",
    "ipndm_v": "IPNDM_V",
    "deis": "DEIS",
    "ddpm": "DDPM",
}
A1111_JOINED = (
    "DPM++ 2M Karras",
    "DPM++ SDE Karras",
    "DPM++ 2M SDE Exponential",
    "DPM++ 2M SDE Karras",
    "DPM++ 2M SDE Heun Karras",
    "DPM++ 2M SDE Heun Exponential",
    "DPM++ 3M SDE Karras",
    "DPM++ 3M SDE Exponential",
    "LMS Karras",
    "DPM2 Karras",
    "DPM2 a Karras",
    "DPM++ 2S a Karras",
)
A1111_JOINED_ALIASES = {
    "k_dpmpp_2m_ka": ("dpmpp_2m", "karras"),
    "k_dpmpp_sde_ka": ("dpmpp_sde", "karras"),
    "k_dpmpp_2m_sde_exp": ("dpmpp_2m_sde", "exponential"),
    "k_dpmpp_2m_sde_ka": ("dpmpp_2m_sde", "karras"),
    "k_dpmpp_2m_sde_heun_ka": ("dpmpp_2m_sde_heun", "karras"),
    "k_dpmpp_2m_sde_heun_exp": ("dpmpp_2m_sde_heun", "exponential"),
    "k_dpmpp_3m_sde_ka": ("dpmpp_3m_sde", "karras"),
    "k_dpmpp_3m_sde_exp": ("dpmpp_3m_sde", "exponential"),
    "k_lms_ka": ("lms", "karras"),
    "k_dpm_2_ka": ("dpm_2", "karras"),
    "k_dpm_2_a_ka": ("dpm_2_ancestral", "karras"),
    "k_dpmpp_2s_a_ka": ("dpmpp_2s_ancestral", "karras"),
}
A1111_AND_FORGE_SCHEDULERS = {
    "Uniform": "uniform",
    "Karras": "karras",
    "Exponential": "exponential",
    "Polyexponential": "polyexponential",
    "SGM Uniform": "sgm_uniform",
    "SGMUniform": "sgm_uniform",
    "KL Optimal": "kl_optimal",
    "Align Your Steps": "align_your_steps",
    "Simple": "simple",
    "Normal": "normal",
    "DDIM": "ddim",
    "Beta": "beta",
    "Turbo": "turbo",
    "align_your_steps_GITS": "align_your_steps_gits",
    "Align Your Steps GITS": "align_your_steps_gits",
    "Align Your Steps 11": "align_your_steps",
    "align_your_steps_11": "align_your_steps",
    "Align Your Steps 32": "align_your_steps_32",
}
COMFYUI = {
    "dpmpp_sde_gpu": "dpmpp_sde",
    "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
} | {
    name: name
    for name in (
        "euler",
        "euler_cfg_pp",
        "euler_ancestral",
        "euler_ancestral_cfg_pp",
        "heun",
        "heunpp2",
        "dpm_2",
        "dpm_2_ancestral",
        "lms",
        "dpm_fast",
        "dpm_adaptive",
        "dpmpp_2s_ancestral",
        "dpmpp_sde",
        "dpmpp_2m",
        "dpmpp_2m_sde",
        "dpmpp_2m_sde_heun",
        "dpmpp_3m_sde",
        "ddpm",
        "lcm",
        "ipndm",
        "ipndm_v",
        "deis",
        "res_multistep",
        "res_multistep_ancestral",
        "gradient_estimation",
        "er_sde",
        "ddim",
        "uni_pc",
        "uni_pc_bh2",
    )
}
COMFYUI_SCHEDULERS = {
    "ddim_uniform": "ddim",
    **{
        name: name
        for name in (
            "simple",
            "sgm_uniform",
            "karras",
            "exponential",
            "beta",
            "normal",
            "linear_quadratic",
            "kl_optimal",
        )
    },
}
DIFFUSERS = {
    "DDIMScheduler": ("ddim", "ddim"),
    "DDPMScheduler": ("ddpm", None),
    "DEISMultistepScheduler": ("deis", None),
    "DPMSolverMultistepScheduler": ("dpmpp_2m", None),
    "DPMSolverSDEScheduler": ("dpmpp_sde", None),
    "EulerAncestralDiscreteScheduler": ("euler_ancestral", None),
    "EulerDiscreteScheduler": ("euler", None),
    "FlowMatchEulerDiscreteScheduler": ("euler", "flow"),
    "FlowMatchHeunDiscreteScheduler": ("heun", "flow"),
    "FlowMatchLCMScheduler": ("lcm", "flow"),
    "HeunDiscreteScheduler": ("heun", None),
    "IPNDMScheduler": ("ipndm", None),
    "KDPM2AncestralDiscreteScheduler": ("dpm_2_ancestral", None),
    "KDPM2DiscreteScheduler": ("dpm_2", None),
    "LCMScheduler": ("lcm", None),
    "LMSDiscreteScheduler": ("lms", None),
    "PNDMScheduler": ("plms", "ddim"),
    "UniPCMultistepScheduler": ("uni_pc", None),
}
WITHOUT_COUNTERPART = {
    "dpmpp_2m_cfg_pp": "dpmpp_2m",
    "dpmpp_2s_ancestral_cfg_pp": "dpmpp_2s_ancestral",
    "res_multistep_cfg_pp": "res_multistep",
    "res_multistep_ancestral_cfg_pp": "res_multistep_ancestral",
    "gradient_estimation_cfg_pp": "gradient_estimation",
    "DPMSolverSinglestepScheduler": "DPMSolverMultistepScheduler",
}
UNLIKE_ANY = (
    "exp_heun_2_x0",
    "exp_heun_2_x0_sde",
    "seeds_2",
    "seeds_3",
    "sa_solver",
    "sa_solver_pece",
    "TCDScheduler",
)


def resolved(sampler, scheduler=None):
    pair = resolve_sampler(REGISTRIES.samplers, REGISTRIES.schedulers, sampler, scheduler)
    return tuple(entry.info.name if entry else None for entry in pair)


@pytest.mark.parametrize(("label", "name"), A1111_AND_FORGE.items())
def test_labels_of_a1111_and_forge_are_ours(label, name):
    assert resolved(label) == (name, None)
    assert REGISTRIES.samplers.get(name).info.label == label


@pytest.mark.parametrize(("alias", "label"), A1111_ALIASES.items())
def test_aliases_of_a1111_and_forge_are_understood(alias, label):
    assert resolved(alias) == (A1111_AND_FORGE[label], None)


@pytest.mark.parametrize("joined", A1111_JOINED)
def test_old_labels_of_a1111_say_sampler_and_scheduler(joined):
    label, _, schedule = joined.rpartition(" ")
    assert resolved(joined) == (A1111_AND_FORGE[label], schedule.lower())
    assert resolved(joined, "Automatic") == resolved(joined)


@pytest.mark.parametrize(("alias", "pair"), A1111_JOINED_ALIASES.items())
def test_old_aliases_of_a1111_say_sampler_and_scheduler(alias, pair):
    assert resolved(alias) == pair


@pytest.mark.parametrize(("label", "name"), A1111_AND_FORGE_SCHEDULERS.items())
def test_every_sampler_s_label_joins_every_schedule_s(label, name):
    expected = {sampler: (sampler_name, name) for sampler, sampler_name in A1111_AND_FORGE.items()}
    assert {sampler: resolved(f"{sampler} {label}") for sampler in A1111_AND_FORGE} == expected
    assert {sampler: resolved(sampler, label) for sampler in A1111_AND_FORGE} == expected


def test_automatic_is_listed_and_leaves_the_scheduler_open():
    assert REGISTRIES.schedulers.get("Automatic").info.label == "Automatic"
    assert resolved("DPM++ 2M", "Automatic") == ("dpmpp_2m", None)


@pytest.mark.parametrize(("given", "name"), COMFYUI.items())
def test_sampler_names_of_comfyui_are_understood(given, name):
    assert resolved(given) == (name, None)


@pytest.mark.parametrize(("given", "name"), COMFYUI_SCHEDULERS.items())
def test_scheduler_names_of_comfyui_are_understood(given, name):
    assert resolved("euler", given) == ("euler", name)


@pytest.mark.parametrize(("class_name", "pair"), DIFFUSERS.items())
def test_class_names_of_diffusers_are_understood(class_name, pair):
    diffusers = pytest.importorskip("diffusers")
    assert hasattr(diffusers, class_name)
    assert resolved(class_name) == pair


def test_every_sampler_function_of_k_diffusion_has_its_name_here(k_sampling):
    functions = [name for name, value in inspect.getmembers(k_sampling, inspect.isfunction)]
    samplers = [name for name in functions if name.startswith("sample_")]
    assert len(samplers) >= 13
    assert {name: resolved(name) for name in samplers} == {
        name: (name.removeprefix("sample_"), None) for name in samplers
    }
    schedules = {f"get_sigmas_{kind}" for kind in ("karras", "exponential", "polyexponential")}
    assert schedules <= set(functions)
    assert all(name in REGISTRIES.schedulers for name in schedules)


@pytest.mark.parametrize("info", [entry.info for entry in REGISTRIES.samplers], ids=lambda info: info.name)
def test_labels_are_understood_in_any_letter_case(info):
    for spelling in (info.label, info.label.lower(), info.label.upper()):
        assert resolved(spelling) == (info.name, None)


def test_a_slip_in_a_name_is_answered_with_the_nearest_ones():
    with pytest.raises(UnknownName, match=r"DPM\+\+ 2M"):
        REGISTRIES.samplers.get("DPM+ 2M")


@pytest.mark.parametrize(("given", "nearest"), WITHOUT_COUNTERPART.items())
def test_names_without_a_counterpart_get_the_nearest(given, nearest):
    with pytest.raises(UnknownName) as caught:
        resolved(given)
    assert nearest in caught.value.nearest


@pytest.mark.parametrize("given", UNLIKE_ANY)
def test_names_unlike_any_are_refused(given):
    with pytest.raises(UnknownName, match="sfumato samplers"):
        resolved(given)
