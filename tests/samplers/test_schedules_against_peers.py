"""Agreement with the sigma functions of k-diffusion, in float64, and of diffusers, in its float32."""

from __future__ import annotations

import numpy
import pytest
import torch

from sfumato.noise_schedule import flow_schedule
from sfumato.testing.analytic import CONVENTIONS

from .analytic import noise_schedule, schedule

TABLES = {convention: noise_schedule(convention) for convention in CONVENTIONS}
STABLE_DIFFUSION = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
STEPS = [1, 2, 9, 20, 30]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def in_float64():
    """k-diffusion makes its levels in torch's default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("karras", {}),
        ("karras", {"rho": 3.0}),
        ("exponential", {}),
        ("polyexponential", {}),
        ("polyexponential", {"rho": 0.5}),
        ("polyexponential", {"rho": 2.5}),
    ],
)
@pytest.mark.parametrize("ends", [{}, {"sigma_min": 0.05, "sigma_max": 0.8}])
def test_levels_are_those_of_k_diffusion(k_sampling, in_float64, name, options, ends, convention, steps):
    table = TABLES[convention]
    given = {"sigma_min": table.sigma_min, "sigma_max": table.sigma_max} | options | ends
    expected = getattr(k_sampling, f"get_sigmas_{name}")(steps, **given)
    assert expected.dtype == torch.float64
    numpy.testing.assert_allclose(
        schedule(name, steps, table, **options, **ends), expected.tolist(), rtol=1e-12
    )


@pytest.mark.parametrize("steps", [2, 9, 20, 30])
@pytest.mark.parametrize("name", ["karras", "exponential", "beta"])
def test_levels_are_those_of_diffusers(name, steps):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.EulerDiscreteScheduler(**{f"use_{name}_sigmas": True}, **STABLE_DIFFUSION)
    scheduler.set_timesteps(steps)
    ours = schedule(name, steps, TABLES["variance_exploding"])
    numpy.testing.assert_allclose(ours, scheduler.sigmas.tolist(), rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 4, 8, 20, 30, 50])
@pytest.mark.parametrize(("name", "spacing", "offset"), [("ddim", "leading", 1), ("turbo", "trailing", 0)])
def test_timesteps_are_those_of_diffusers(name, spacing, offset, steps):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing, steps_offset=offset, **STABLE_DIFFUSION)
    scheduler.set_timesteps(steps)
    expected = [TABLES["variance_exploding"].sigmas[time] for time in scheduler.timesteps.tolist()]
    assert schedule(name, steps, TABLES["variance_exploding"]) == [*expected, 0.0]


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", [2, 4, 28])
def test_normal_levels_of_a_flow_model_are_those_diffusers_takes_for_sd3(steps, shift):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    ours = schedule("normal", steps, flow_schedule(shift=shift))
    numpy.testing.assert_allclose(ours, scheduler.sigmas.tolist(), rtol=1e-5)


@pytest.mark.parametrize(("table", "model"), [("sd15", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_align_your_steps_levels_are_those_diffusers_publishes_save_that_0_is_one_step_more(table, model):
    published = pytest.importorskip("diffusers.schedulers").AysSchedules
    ours = schedule("align_your_steps", 11, TABLES["variance_exploding"], table=table)
    assert ours[:10] == pytest.approx(published[f"{model}Sigmas"][:10], rel=1e-12)
    times = [TABLES["variance_exploding"].timestep(level) for level in ours[:10]]
    assert times == pytest.approx(published[f"{model}Timesteps"], abs=1.5)
