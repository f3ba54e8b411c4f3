"""Where in a checkpoint a UNet of Stable Diffusion lies, and under which names. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader, PartInfo, TensorInfo
from sfumato_models_sd import diffusers_keys
from sfumato_models_sd.config import Shape, UNetConfig, expected_shapes
from sfumato_networks.parts import part_info, under

if TYPE_CHECKING:
    from torch import Tensor

UNET = "unet"
PREFIXES = ("model.diffusion_model.", "unet/", "")
"""Before the UNet's names: whole checkpoints, diffusers folders, files of the UNet alone."""

_DIFFUSERS_CLASS = "UNet2DConditionModel"
_LANDMARKS = (
    "input_blocks.0.0.weight",
    "time_embed.0.weight",
    "middle_block.0.in_layers.0.weight",
    "output_blocks.0.0.in_layers.0.weight",
    "out.2.weight",
)
_ATTENTION = ".attn2.to_k.weight"
_RELATIVES = (
    ".time_stack.",  # Stable Video Diffusion
    "motion_modules.",  # AnimateDiff
    "encoder_hid_proj.",  # Kolors, DeepFloyd IF
    "label_emb.weight",  # the x4 upscaler, which is told a level of noise
    "class_embedding.",
)
_ALONGSIDE = ("v_pred", "ztsnr")
"""Marks that may lie among the tensors of a UNet alone."""


@dataclass(frozen=True)
class StoredUNet:
    """The UNet's tensors in a checkpoint, under the names they are stored with, less the prefix."""

    prefix: str
    tensors: Mapping[str, TensorInfo]

    @cached_property
    def names(self) -> dict[str, str]:
        """The stored name of each tensor by its original one (LDM's)."""
        if not diffusers_keys.is_diffusers_unet(self.tensors):
            return {name: name for name in self.tensors}
        return {old: new for new, old in diffusers_keys.original_names(self.tensors).items()}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shapes under the original names."""
        return {old: self.tensors[stored].shape for old, stored in self.names.items()}

    def info(self, config: UNetConfig) -> PartInfo:
        """Size and type of what a UNet of these sizes is made of."""
        return part_info(
            UNET, self.prefix, [self.tensors[self.names[name]] for name in expected_shapes(config)]
        )

    def open(self, opened: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under their original names, from the opened checkpoint."""
        return {old: opened[self.prefix + stored] for old, stored in self.names.items()}


def find_unet(header: CheckpointHeader) -> StoredUNet | None:
    """Where in the checkpoint a UNet that attends to a prompt is, if it holds one."""
    if header.configs.get(UNET, {}).get("_class_name", _DIFFUSERS_CLASS) != _DIFFUSERS_CLASS:
        return None
    for prefix in PREFIXES:
        tensors = under(prefix, header.tensors)
        if _is_unet(tensors):
            return StoredUNet(prefix, {n: info for n, info in tensors.items() if n not in _ALONGSIDE})
    return None


def _is_unet(names: Mapping[str, TensorInfo]) -> bool:
    original = sum(name in names for name in _LANDMARKS) >= len(_LANDMARKS) - 1
    if not (original or diffusers_keys.is_diffusers_unet(names)):
        return False
    attends = any(name.endswith(_ATTENTION) for name in names)
    return attends and not any(mark in name for name in names for mark in _RELATIVES)
