"""Files with packed weights as other programs write them, made by bitsandbytes itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bitsandbytes.functional as oracle
import torch
from torch import Tensor

import sfumato_models_sd.plugin
import sfumato_quant_bnb.plugin
from sfumato.library import ModelLibrary
from sfumato.registries import Registries

from ..tiny_models import library_of


def library(*roots: Path) -> ModelLibrary:
    """With the plugin's quantisations, and the families of Flux and Stable Diffusion."""
    registries = Registries()
    quantisations = registries.quantisations.registrar("quant_bnb")
    sfumato_quant_bnb.plugin.register_quantisations(quantisations)
    quantisations.commit()
    families = registries.model_families.registrar("models_sd")
    sfumato_models_sd.plugin.register_model_families(families)
    families.commit()
    return library_of(*roots, registries=registries)


def is_packed(name: str, tensor: Tensor) -> bool:
    """As Forge does it: the weight of every linear layer of the diffusion model, and nothing else."""
    inside = name.removeprefix("model.diffusion_model.") != name or "." in name
    return inside and name.endswith(".weight") and tensor.ndim == 2 and "embedding" not in name


def with_four_bits(tensors: Mapping[str, Tensor], kind: str, *, nested: bool = False) -> dict[str, Tensor]:
    """Every matrix packed by bitsandbytes, with what it stores beside one."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not is_packed(name, tensor):
            found[name] = tensor
            continue
        packed, state = oracle.quantize_4bit(tensor, quant_type=kind, compress_statistics=nested)
        found[name] = packed
        beside = state.as_dict(packed=True)
        found.update({f"{name}.{ending}": value.clone() for ending, value in beside.items()})
    return found


def unpacked(tensors: Mapping[str, Tensor], kind: str, *, nested: bool = False) -> dict[str, Tensor]:
    """The plain numbers that the packed file means, after bitsandbytes."""
    found = {}
    for name, tensor in tensors.items():
        if is_packed(name, tensor):
            packed, state = oracle.quantize_4bit(tensor, quant_type=kind, compress_statistics=nested)
            tensor = by_hand(packed, state, tensor.shape)
        found[name] = tensor
    return found


def by_hand(packed: Tensor, state: oracle.QuantState, shape: torch.Size) -> Tensor:
    """As the format is described, without kernels: those for processors take rows of whole blocks only."""
    codes = torch.stack((packed.flatten() >> 4, packed.flatten() & 15), 1).flatten().long()
    scales = state.absmax
    if state.nested:
        scales = oracle.dequantize_blockwise(scales, state.state2) + state.offset
    numbers = state.code[codes][: shape.numel()]
    return (numbers * scales.repeat_interleave(state.blocksize)[: len(numbers)]).view(shape)
