"""LCM: jump to the clean estimate, then noise back up to the next level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import signal_scale


def lcm(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Multistep consistency sampling (Song et al. 2023, https://arxiv.org/abs/2303.01469, algorithm 1).

    Latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378) are sampled with it. It
    trusts each estimate to be a finished picture: other models come out blurred.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        fresh = sigma_next * context.noise(sigma, sigma_next)
        x = torch.add(fresh, denoised, alpha=signal_scale(sigma_next, context.convention))
    return x
