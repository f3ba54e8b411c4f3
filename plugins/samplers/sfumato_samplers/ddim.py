"""DDIM, and DDPM as its fully stochastic form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import signal_scale
from sfumato_samplers.renoise import posterior_step


def ddim(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Eq. 12 of Song et al. (2020), https://arxiv.org/abs/2010.02502.

    `eta` 0 is Euler's method. `eta` 1 is the ancestral sampling of DDPM (Ho et al. 2020,
    https://arxiv.org/abs/2006.11239): each step is a draw from the posterior of the noising process. For
    variance-exploding models that is Euler a.
    """
    eta, s_noise, convention = context.options["eta"], context.options["s_noise"], context.convention
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        kept, added = posterior_step(sigma, sigma_next, eta, convention)
        share = signal_scale(sigma_next, convention) - kept * signal_scale(sigma, convention)
        x = torch.add(kept * x, denoised, alpha=share)
        if added:
            x = torch.add(x, context.noise(sigma, sigma_next), alpha=added * s_noise)
    return x
