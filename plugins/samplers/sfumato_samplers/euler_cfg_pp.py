"""Euler under CFG++: towards the guided estimate, with the noise of the unconditional one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.sampling import Denoise, DenoisePair, SamplingContext
from sfumato_samplers.log_snr import signal_scale
from sfumato_samplers.renoise import posterior_step

SCALE_DIVISOR = 12.5
"""A1111's: its guidance scales of 0 to 12.5 are the paper's lambda of 0 to 1."""


def euler_cfg_pp(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Chung et al. (2024), "CFG++", https://arxiv.org/abs/2406.08070.

    Guidance moves the picture, and the noise added back is that of the unconditional estimate: latents stay
    where the model knows them. It wants a low guidance scale, 1 to 2 (the paper's lambda of 0 to 1 stays
    between the two prompts). `eta` adds fresh noise in place of some of it, as ComfyUI's Euler a CFG++ does.
    Where both estimates are the same this is DDIM.
    """
    eta, s_noise, convention = context.options["eta"], context.options["s_noise"], context.convention
    denoise_pair = _pair_of(context)
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


def ddim_cfg_pp(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """`euler_cfg_pp` in A1111's terms: the guidance scale is divided by `SCALE_DIVISOR`."""
    denoise_pair = _pair_of(context)

    def milder(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        guided, unconditional = denoise_pair(x, sigma)
        return torch.lerp(unconditional, guided, 1 / SCALE_DIVISOR), unconditional

    return euler_cfg_pp(denoise, x, sigmas, replace(context, denoise_pair=milder))


def _pair_of(context: SamplingContext) -> DenoisePair:
    if context.denoise_pair is None:
        raise ValueError("CFG++ needs SamplingContext.denoise_pair")
    return context.denoise_pair
