"""The noise schedules."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import Option, SchedulerInfo

SIGMA_RANGE = (
    Option(
        name="sigma_min",
        default=0.0,
        minimum=0,
        maximum=10,
        description="The lowest noise level before 0; 0 takes the model's own.",
    ),
    Option(
        name="sigma_max",
        default=0.0,
        minimum=0,
        maximum=1000,
        description="The highest noise level; 0 takes the model's own.",
    ),
)
TABLE = Option(
    name="table",
    default="sd15",
    choices=("sd15", "sdxl"),
    description="The model the levels were optimised for: Stable Diffusion 1.5 or SDXL.",
)


def add_to(schedulers: Registrar[SchedulerInfo]) -> None:
    _add_spaced_in_time(schedulers)
    _add_spaced_in_noise(schedulers)
    _add_crowded_at_both_ends(schedulers)
    _add_for_few_steps(schedulers)
    _add_tables(schedulers)
    schedulers.add(
        "flow",
        "sfumato_samplers.schedules.flow:flow",
        label="Flow",
        aliases=(
            "FlowMatchEulerDiscreteScheduler",
            "FlowMatchHeunDiscreteScheduler",
            "FlowMatchLCMScheduler",
        ),
        summary="Equal steps in flow time under the model's shift; how Flux was published.",
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


def _add_spaced_in_time(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "automatic",
        "sfumato_samplers.schedules.uniform:uniform",
        label="Automatic",
        summary="Leaves the choice open: what the sampler prefers, or the model's own.",
    )
    schedulers.add(
        "uniform",
        "sfumato_samplers.schedules.uniform:uniform",
        label="Uniform",
        summary="Equal steps in training time down to the lowest trained noise level.",
    )
    schedulers.add(
        "normal",
        "sfumato_samplers.schedules.normal:normal",
        label="Normal",
        summary="Equal steps in training time, as ComfyUI takes them; how SD3 was published.",
    )
    schedulers.add(
        "simple",
        "sfumato_samplers.schedules.simple:simple",
        label="Simple",
        summary="Equal strides through the trained noise levels; a good default for every model.",
    )
    schedulers.add(
        "ddim",
        "sfumato_samplers.schedules.ddim:ddim",
        label="DDIM",
        aliases=("ddim_uniform", "DDIMScheduler", "PNDMScheduler"),
        summary="Equal strides through the trained noise levels from the bottom, as DDIM was published.",
    )


def _add_spaced_in_noise(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "karras",
        "sfumato_samplers.schedules.karras:karras",
        label="Karras",
        aliases=("get_sigmas_karras", "ka"),
        summary="Most steps where noise is low; the classic companion of the DPM++ samplers.",
        options=(_rho(7.0, minimum=1, maximum=100), *SIGMA_RANGE),
    )
    schedulers.add(
        "exponential",
        "sfumato_samplers.schedules.exponential:exponential",
        label="Exponential",
        aliases=("get_sigmas_exponential", "exp"),
        summary="Each step divides the noise by the same number; suits the SDE samplers.",
        options=SIGMA_RANGE,
    )
    schedulers.add(
        "polyexponential",
        "sfumato_samplers.schedules.exponential:polyexponential",
        label="Polyexponential",
        aliases=("get_sigmas_polyexponential",),
        summary="Exponential, bent by rho towards low noise (above 1) or high noise (below 1).",
        options=(_rho(1.0, minimum=0.1, maximum=4), *SIGMA_RANGE),
    )
    schedulers.add(
        "kl_optimal",
        "sfumato_samplers.schedules.kl_optimal:kl_optimal",
        label="KL Optimal",
        summary="Equal steps in arctan of the noise level: optimal by theory, close to Align Your Steps.",
        options=SIGMA_RANGE,
    )


def _add_crowded_at_both_ends(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "linear_quadratic",
        "sfumato_samplers.schedules.linear_quadratic:linear_quadratic",
        label="Linear Quadratic",
        summary="Half the steps remove almost no noise, the others the rest; made for video flow models.",
        options=(
            Option(
                name="threshold",
                default=0.025,
                minimum=0.001,
                maximum=0.3,
                description="The part of the noise that the first half of the steps removes.",
            ),
        ),
    )
    schedulers.add(
        "beta",
        "sfumato_samplers.schedules.beta:beta",
        label="Beta",
        summary="More steps at the start and the end, fewer between.",
        options=(
            *(
                Option(
                    name=name,
                    default=0.6,
                    minimum=0.3,
                    maximum=5,
                    description=f"Lower: more steps at the {end}.",
                )
                for name, end in (("alpha", "end"), ("beta", "start"))
            ),
            Option(
                name="over",
                default="sigmas",
                choices=("sigmas", "timesteps"),
                description="What steps spread over: noise levels as in A1111, or timesteps as in ComfyUI.",
            ),
        ),
    )


def _add_for_few_steps(schedulers: Registrar[SchedulerInfo]) -> None:
    schedulers.add(
        "sgm_uniform",
        "sfumato_samplers.schedules.normal:sgm_uniform",
        label="SGM Uniform",
        aliases=("SGMUniform",),
        summary="Normal, with a larger last step: for LCM, Lightning and other models of few steps.",
    )
    schedulers.add(
        "turbo",
        "sfumato_samplers.schedules.turbo:turbo",
        label="Turbo",
        summary="Equal strides counted from the top, on the timesteps that SDXL Turbo learnt.",
    )


def _add_tables(schedulers: Registrar[SchedulerInfo]) -> None:
    for suffix, label, aliases, summary in (
        (
            "",
            "Align Your Steps",
            ("ays", "align_your_steps_11", "Align Your Steps 11"),
            "Levels that NVIDIA optimised for Stable Diffusion: good pictures in 10 steps.",
        ),
        (
            "_gits",
            "Align Your Steps GITS",
            ("gits",),
            "Levels from the geometry of sampling paths, for few steps.",
        ),
        ("_32", "Align Your Steps 32", (), "Align Your Steps with a finer table, for about 30 steps."),
    ):
        schedulers.add(
            f"align_your_steps{suffix}",
            f"sfumato_samplers.schedules.align_your_steps:align_your_steps{suffix}",
            label=label,
            aliases=aliases,
            summary=summary,
            predictions=("eps", "v"),
            options=(TABLE,),
        )


def _rho(default: float, *, minimum: float, maximum: float) -> Option:
    return Option(
        name="rho",
        default=default,
        minimum=minimum,
        maximum=maximum,
        description="How far steps crowd at low noise.",
    )
