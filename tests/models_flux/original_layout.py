"""Tensors of diffusers' transformer under the original names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sfumato_models_flux.diffusers_keys import sources
from sfumato_networks.made_tensors import MadeTensors


def original_tensors(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """As a diffusers folder is read: stacked ones are copies, all others the tensors given."""
    return MadeTensors(tensors, sources(tensors))
