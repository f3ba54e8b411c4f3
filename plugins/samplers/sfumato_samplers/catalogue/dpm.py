"""The DPM-Solver family of the second and third order, in k-diffusion's forms."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import SamplerInfo


def add_to(samplers: Registrar[SamplerInfo]) -> None: ...
