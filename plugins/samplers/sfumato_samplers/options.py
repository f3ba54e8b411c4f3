"""The tunable numbers that several samplers share."""

from __future__ import annotations

from sfumato.sampling import Option

ETA = Option(
    name="eta",
    default=1.0,
    minimum=0,
    maximum=2,
    description="Share of fresh noise in a step: 0 is a plain ODE solver, 1 the full ancestral amount.",
)
NO_ETA = ETA.model_copy(update={"default": 0.0})
S_NOISE = Option(
    name="s_noise",
    default=1.0,
    minimum=0,
    maximum=2,
    description="Strength of the fresh noise; slightly above 1 makes up for an over-smooth model.",
)
CHURN = (
    Option(
        name="s_churn",
        default=0.0,
        minimum=0,
        maximum=100,
        description="Noise stirred in, spread over all steps; 0 keeps the sampler deterministic.",
    ),
    Option(
        name="s_tmin",
        default=0.0,
        minimum=0,
        maximum=1000,
        description="Churn only from this noise level up.",
    ),
    Option(
        name="s_tmax",
        default=0.0,
        minimum=0,
        maximum=1000,
        description="Churn only up to this noise level; 0 sets no limit.",
    ),
    S_NOISE,
)
