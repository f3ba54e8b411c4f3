"""Takes the place of the bundled Euler sampler: the same steps, without its churn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from sfumato.hookspecs import hookimpl
from sfumato.registry import Registrar
from sfumato.sampling import Denoise, SamplerInfo, SamplingContext

if TYPE_CHECKING:
    from torch import Tensor

SFUMATO_API = "1.0"


@hookimpl
def register_samplers(samplers: Registrar[SamplerInfo]) -> None:
    samplers.replace("euler", "sfumato_plain_euler:euler", options=())


def euler(denoise: Denoise, x: Tensor, sigmas: Sequence[float], context: SamplingContext) -> Tensor:
    """Algorithm 2 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, without churn or correction."""
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        x = denoised + (x - denoised) * (sigma_next / sigma)
    return x
