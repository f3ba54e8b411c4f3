"""Half the log signal-to-noise ratio: the time in which the DPM-Solver family steps.

Noisy latents are ``x = alpha * x0 + sigma * noise``, with ``alpha = 1`` for variance-exploding models and
``alpha = 1 - sigma`` for flow models. In ``lambda = log(alpha / sigma)`` one solver is right for both
(Lu et al. 2022, "DPM-Solver++", https://arxiv.org/abs/2211.01095, section 3).
"""

from __future__ import annotations

import math

from sfumato.noise_schedule import Convention


def signal_scale(sigma: float, convention: Convention) -> float:
    """alpha: the share of the clean picture in latents at noise level `sigma`."""
    return 1 - sigma if convention == "flow" else 1.0


def half_log_snr(sigma: float, convention: Convention) -> float:
    """``log(alpha / sigma)``: infinite without noise, minus infinity at a flow model's pure noise."""
    alpha = signal_scale(sigma, convention)
    if sigma <= 0:
        return math.inf
    return math.log(alpha / sigma) if alpha > 0 else -math.inf


def sigma_at(half_log_snr: float, convention: Convention) -> float:
    """The noise level at a half log-SNR: the inverse of `half_log_snr`."""
    ratio = math.exp(-half_log_snr)  # sigma / alpha
    return ratio / (1 + ratio) if convention == "flow" else ratio
