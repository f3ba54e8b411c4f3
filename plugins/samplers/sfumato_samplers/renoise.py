"""How fresh noise enters a step so that latents keep the variance their noise level promises.

Latents at level s are ``x = alpha(s) * x0 + s * noise``. Adding noise to reach a higher level means scaling
the signal down first: for variance-exploding models alpha is 1 and nothing is scaled, for flow models it is
``1 - s``.
"""

from __future__ import annotations

import math

from torch import Tensor

from sfumato.noise_schedule import Convention
from sfumato.sampling import SamplingContext
from sfumato_samplers.log_snr import half_log_snr, signal_scale

GAMMA_LIMIT = math.sqrt(2) - 1


def renoise(sigma: float, target: float, convention: Convention) -> tuple[float, float]:
    """``(scale, added)``: ``scale * x + added * noise`` lifts latents from level `sigma` to `target`."""
    if sigma == target:
        return 1.0, 0.0
    scale = signal_scale(target, convention) / signal_scale(sigma, convention)
    return scale, math.sqrt(max(target**2 - (scale * sigma) ** 2, 0.0))


def ancestral_split(sigma: float, target: float, eta: float) -> tuple[float, float]:
    """``(down, up)`` of a variance-exploding ancestral step: denoise to `down`, add noise of deviation `up`.

    ``down**2 + up**2 == target**2``; with `eta` 1 it is the ancestral step of DDPM (Ho et al. 2020,
    https://arxiv.org/abs/2006.11239, eq. 7). An infinite `sigma` is allowed.
    """
    up = min(target, eta * target * math.sqrt(1 - (target / sigma) ** 2))
    return math.sqrt(target**2 - up**2), up


def ancestral_step(
    sigma: float, target: float, eta: float, convention: Convention
) -> tuple[float, float, float]:
    """``(down, scale, added)``: from level `down`, ``scale * x + added * noise`` comes back up to `target`.

    Flow models go down to ``target * (1 + eta * (target / sigma - 1))``, the rectified-flow rule in common
    use: for `eta` 1 that is ``target**2 / sigma``, as for variance-exploding models.
    """
    if convention == "variance_exploding":
        down, up = ancestral_split(sigma, target, eta)
        return down, 1.0, up
    down = target * max(1 + eta * (target / sigma - 1), 0.0)
    return down, *renoise(down, target, convention)


def posterior_step(sigma: float, target: float, eta: float, convention: Convention) -> tuple[float, float]:
    """``(kept, added)`` of an ancestral step that splits the noise-to-signal ratio instead of the level.

    ``kept * x + (alpha(target) - kept * alpha(sigma)) * denoised + added * noise`` is, for `eta` 1, a draw
    from ``q(x_target | x_sigma, x0 = denoised)`` in both conventions. A flow model's pure noise is allowed.
    """
    alpha = signal_scale(target, convention)
    ratio, ratio_target = (math.exp(-half_log_snr(level, convention)) for level in (sigma, target))
    down, up = ancestral_split(ratio, ratio_target, eta)
    return alpha * down / sigma, alpha * up


def churned(x: Tensor, sigma: float, steps: int, context: SamplingContext) -> tuple[Tensor, float]:
    """Lift latents to a higher noise level before a step; returns them with that level.

    Lines 4-6 of algorithm 2 in Karras et al. (2022), https://arxiv.org/abs/2206.00364. The ratio of noise to
    signal grows by ``1 + gamma`` in both conventions, so that a flow model's level stays within 1.
    """
    options = context.options
    low, high = options["s_tmin"], options["s_tmax"] or math.inf
    if not options["s_churn"] or not low <= sigma <= high:
        return x, sigma
    gamma = min(options["s_churn"] / steps, GAMMA_LIMIT)
    sigma_hat = sigma * (1 + gamma)
    if context.convention == "flow":
        sigma_hat /= 1 + gamma * sigma
    scale, added = renoise(sigma, sigma_hat, context.convention)
    return scale * x + (added * options["s_noise"]) * context.noise(sigma, sigma_hat), sigma_hat
