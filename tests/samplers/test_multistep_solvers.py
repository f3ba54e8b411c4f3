"""What multistep solvers are made of, how they relate to each other, and what other programs' ones answer."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.testing.analytic import CONVENTIONS, Mixture
from sfumato_samplers.adams import EQUAL_STEPS, adams_bashforth
from sfumato_samplers.deis import variance_preserving_time
from sfumato_samplers.quadrature import integral

from .analytic import NoiseTape, latents, noise_schedule, registries, sample, schedule

EVEN = {"variance_exploding": [8.0, 7.0, 6.0, 5.0, 4.0, 3.0], "flow": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]}
UNEVEN = {
    "variance_exploding": [14.6, 7.0, 3.2, 1.4, 0.6, 0.25, 0.1],
    "flow": [0.98, 0.92, 0.8, 0.66, 0.5, 0.3, 0.1],
}
# k_diffusion/sampling.py and extra_samplers/uni_pc.py of ComfyUI in float64, run on the mixture
RECORDED = [
    ("ipndm", "variance_exploding", [1.158624241, -0.643295811, 0.898956663]),
    ("ipndm", "flow", [1.006297456, -0.693880245, 0.834936444]),
    ("gradient_estimation", "variance_exploding", [1.194136543, -0.719368429, 0.951107588]),
    ("gradient_estimation", "flow", [1.098214516, -0.793126878, 0.931102308]),
    ("res_multistep", "variance_exploding", [1.214851791, -0.648832284, 0.956269578]),
    ("res_multistep", "flow", [1.223685181, -0.861921762, 1.078459106]),
    ("res_multistep_ancestral", "variance_exploding", [0.486132656, 0.052193958, 0.265686790]),
    ("dpmpp_2s_ancestral", "flow", [0.214435708, -0.084296205, 0.072669019]),
    ("uni_pc", "variance_exploding", [1.164500714, -0.807063268, 0.909151471]),
    ("uni_pc_bh2", "variance_exploding", [1.151274486, -0.742757893, 0.891903902]),
]
# it integrates these by a sum over many points, ours by a rule of high order
RECORDED_ROUGHLY = [
    ("deis", "variance_exploding", [1.134430995, -0.602226751, 0.866311433], 3e-5),
    ("deis", "flow", [1.020335653, -0.725417620, 0.846533384], 3e-6),
    ("er_sde", "variance_exploding", [0.936984759, -0.411007838, 0.527455589], 2e-3),
    ("er_sde", "flow", [0.463863567, -0.304670663, 0.085164119], 2e-3),
]
RECORDED_LEVELS = {**UNEVEN, "flow": [0.98, 0.92, 0.82, 0.68, 0.5, 0.3, 0.1]}
RECORDED_NOISE = [0.3, -1.1, 0.8, 0.2, -0.6, 1.4]


def sample_mixture(name, sigmas, convention, **options):
    return sample(name, Mixture(convention).denoise, sigmas[0] * latents(), sigmas, convention, **options)


def sample_as_recorded(name, convention):
    sigmas = RECORDED_LEVELS[convention]
    x = sigmas[0] * torch.tensor([1.7, -0.4, 0.9], dtype=torch.float64)
    draws = iter(RECORDED_NOISE)
    noise = lambda sigma, sigma_next: torch.full_like(x, next(draws))  # noqa: E731
    return sample(name, Mixture(convention).denoise, x, sigmas, convention, noise=noise)


@pytest.mark.parametrize(("name", "convention", "expected"), RECORDED)
def test_steps_are_those_of_comfyui(name, convention, expected):
    found = sample_as_recorded(name, convention)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-9)


@pytest.mark.parametrize(("name", "convention", "expected", "tolerance"), RECORDED_ROUGHLY)
def test_integrals_are_those_that_comfyui_sums_up(name, convention, expected, tolerance):
    found = sample_as_recorded(name, convention)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=tolerance)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_adams_bashforth_weights_integrate_powers_below_their_order_exactly(order):
    nodes, end = [3.2, 5.0, 6.1, 9.7][:order], 1.9
    weights = adams_bashforth(nodes, end)
    for power in range(order):
        exact = (end ** (power + 1) - nodes[0] ** (power + 1)) / (power + 1)
        assert sum(w * node**power for w, node in zip(weights, nodes, strict=True)) == pytest.approx(exact)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_weights_of_equal_steps_are_the_textbook_ones(order):
    nodes = [5.0, 6.0, 7.0, 8.0][:order]
    assert adams_bashforth(nodes, 4.0) == pytest.approx([-weight for weight in EQUAL_STEPS[order - 1]])


def test_quadrature_is_exact_for_polynomials_and_all_but_exact_for_smooth_functions():
    assert integral(lambda x: x**15, 1.0, 2.0) == pytest.approx((2**16 - 1) / 16, rel=1e-14)
    assert integral(math.exp, 0.5, -1.0) == pytest.approx(math.exp(-1) - math.exp(0.5), rel=1e-14)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ipndm_takes_the_steps_of_ipndm_v_where_they_are_equal(convention):
    fixed, fitted = (sample_mixture(name, EVEN[convention], convention) for name in ("ipndm", "ipndm_v"))
    torch.testing.assert_close(fixed, fitted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ipndm_v_is_lms_but_for_the_step_to_the_picture(convention):
    sigmas = UNEVEN[convention]
    assert torch.equal(
        sample_mixture("lms", sigmas, convention), sample_mixture("ipndm_v", sigmas, convention)
    )
    complete = [*sigmas, 0.0]
    ends = [sample_mixture(name, complete, convention) for name in ("lms", "ipndm_v")]
    assert not torch.allclose(*ends, atol=1e-5)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lms", {"order": 1}),
        ("ipndm", {"order": 1}),
        ("ipndm_v", {"order": 1}),
        ("deis", {"order": 1}),
        ("deis", {"order": 1, "interpolation": "log_ratio"}),
        ("er_sde", {"order": 1, "eta": 0.0}),
        ("gradient_estimation", {"gamma": 1.0}),
    ],
)
def test_solvers_without_memory_are_euler(name, options, convention):
    sigmas = [*UNEVEN[convention], 0.0]
    found = sample_mixture(name, sigmas, convention, **options)
    torch.testing.assert_close(found, sample_mixture("euler", sigmas, convention), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_res_multistep_is_exact_where_the_estimate_is_linear_in_log_sigma(convention):
    seen = []
    sigmas = UNEVEN[convention]
    found = sample(
        "res_multistep",
        lambda x, sigma: torch.full_like(x, 0.4 - 0.3 * math.log(sigma)),
        sigmas[0] * latents(),
        sigmas,
        convention,
        on_step=lambda index, x, denoised: seen.append(x),
    )
    particular = [
        0.4 - 0.3 - 0.3 * math.log(sigma) for sigma in (sigmas[1], sigmas[-1])
    ]  # solves dx/dt = D - x
    expected = particular[1] + (seen[1] - particular[0]) * sigmas[-1] / sigmas[1]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpmpp_3m_sde", {}),
        ("dpmpp_2s_ancestral", {}),
        ("deis", {"interpolation": "log_ratio"}),
        ("er_sde", {}),
        ("er_sde", {"eta": 0.0}),
        ("uni_pc_bh2", {}),
    ],
)
def test_pure_noise_is_the_limit_of_levels_below_it(name, options):
    sigmas = schedule("simple", 9, noise_schedule("flow"))
    near = [1 - 1e-12, *sigmas[1:]]
    at_noise, below = (
        sample_mixture(name, levels, "flow", noise=NoiseTape(latents()), **options)
        for levels in (sigmas, near)
    )
    torch.testing.assert_close(at_noise, below, rtol=0, atol=1e-3)  # it is neared in log-SNR


def test_plms_looks_ahead_in_its_first_step_only():
    levels = []

    def denoise(x, sigma):
        levels.append(sigma)
        return Mixture("flow").denoise(x, sigma)

    sample("plms", denoise, latents(), [0.9, 0.6, 0.3, 0.0], "flow")
    assert levels == [0.9, 0.6, 0.6, 0.3]


def test_dpmpp_2m_sde_heun_is_dpmpp_2m_sde_with_its_heun_option():
    sigmas = UNEVEN["flow"]
    named = sample_mixture("dpmpp_2m_sde_heun", sigmas, "flow", noise=NoiseTape(latents()))
    chosen = sample_mixture("dpmpp_2m_sde", sigmas, "flow", noise=NoiseTape(latents()), solver_type="heun")
    assert torch.equal(named, chosen)


def test_time_of_the_variance_preserving_process_spans_the_levels_of_its_paper():
    assert variance_preserving_time(0.002) == pytest.approx(1e-3)
    assert variance_preserving_time(80.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("DPM++ 2S a", "dpmpp_2s_ancestral"),
        ("k_dpmpp_2s_a", "dpmpp_2s_ancestral"),
        ("DPM++ 3M SDE", "dpmpp_3m_sde"),
        ("dpmpp_3m_sde_gpu", "dpmpp_3m_sde"),
        ("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun"),
        ("dpmpp_2m_sde_heun_gpu", "dpmpp_2m_sde_heun"),
        ("EDMDPMSolverMultistepScheduler", "dpmpp_2m"),
        ("k_lms", "lms"),
        ("LMSDiscreteScheduler", "lms"),
        ("PLMS", "plms"),
        ("PNDMScheduler", "plms"),
        ("IPNDMScheduler", "ipndm"),
        ("ipndm_v", "ipndm_v"),
        ("DEISMultistepScheduler", "deis"),
        ("UniPC", "uni_pc"),
        ("UniPCMultistepScheduler", "uni_pc"),
        ("uni_pc_bh2", "uni_pc_bh2"),
        ("sample_er_sde", "er_sde"),
        ("sample_res_multistep_ancestral", "res_multistep_ancestral"),
    ],
)
def test_multistep_solvers_answer_to_the_names_people_know(spelling, name):
    assert registries().samplers.get(spelling).info.name == name


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("dpmpp_2m", "karras"),
        ("dpmpp_sde", "karras"),
        ("dpmpp_2s_ancestral", "karras"),
        ("dpmpp_2m_sde", "exponential"),
        ("dpmpp_2m_sde_heun", "exponential"),
        ("dpmpp_3m_sde", "exponential"),
    ],
)
def test_samplers_prefer_the_schedules_a1111_gives_them(name, scheduler):
    assert registries().samplers.get(name).info.preferred_scheduler == scheduler
