"""Euler under CFG++: towards the guided estimate, with the noise of the unconditional one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, SamplingContext
from sfumato_samplers.log_snr import signal_scale
from sfumato_samplers.renoise import posterior_step


def euler_cfg_pp(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Chung et al. (2024), "CFG++", https://arxiv.org/abs/2406.08070.

    Guidance moves the picture, and the noise added back is that of the unconditional estimate: latents stay
    where the model knows them. It wants a low guidance scale, 1 to 2 (the paper's lambda of 0 to 1 stays
    between the two prompts). `eta` adds fresh noise in place of some of it, as ComfyUI's Euler a CFG++ does.
    Where both estimates are the same this is DDIM.
    """
    eta, s_noise, convention = context.options["eta"], context.options["s_noise"], context.convention
    denoise_pair = context.denoise_pair
    if denoise_pair is None:
        raise ValueError("euler_cfg_pp needs SamplingContext.denoise_pair")
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        guided, unconditional = denoise_pair(x, sigma)
        context.on_step(i, x, guided)
        if sigma_next == 0:
            return guided
        kept, added = posterior_step(sigma, sigma_next, eta, convention)
        x = torch.add(kept * x, guided, alpha=signal_scale(sigma_next, convention))
        x = torch.sub(x, unconditional, alpha=kept * signal_scale(sigma, convention))
        if added:
            x = torch.add(x, context.noise(sigma, sigma_next), alpha=added * s_noise)
    return x
