"""Solvers that remember earlier evaluations."""

from __future__ import annotations

from sfumato.registry import Registrar
from sfumato.sampling import SamplerInfo


def add_to(samplers: Registrar[SamplerInfo]) -> None: ...
