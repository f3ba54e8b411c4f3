"""Where in a checkpoint an SD3 transformer lies, and under which names. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader, PartInfo, TensorInfo
from sfumato_models_sd.sd3 import diffusers_keys
from sfumato_models_sd.sd3.config import Sd3Config, expected_shapes
from sfumato_networks.made_tensors import MadeTensors, Shape, Source
from sfumato_networks.parts import part_info, recognise, under

if TYPE_CHECKING:
    from torch import Tensor

TRANSFORMER = "transformer"
PREFIXES = ("model.diffusion_model.", "transformer/", "")
"""Before the transformer's names: Stability's files, diffusers folders, files of the transformer alone."""

POSITIONS = "pos_embed"
_DIFFUSERS_CLASS = "SD3Transformer2DModel"
_RELATIVES = ("controlnet_", "pos_embed_input.", "single_transformer_blocks.", "double_blocks.")
"""ControlNets of SD3, and other families."""


@dataclass(frozen=True)
class StoredTransformer:
    """The transformer's tensors in a checkpoint, under the names they are stored with, less the prefix."""

    prefix: str
    tensors: Mapping[str, TensorInfo]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """What each tensor of the original layout is made of; what has no place in it under its own name."""
        sources = diffusers_keys.sources(self.tensors) if self._in_diffusers_layout else {}
        used = {name for source in sources.values() for name in source.names}
        return sources | {name: Source((name,)) for name in self.tensors if name not in used}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shapes under the original names; ValueError names a tensor that cannot be stacked with others."""
        shapes = {name: info.shape for name, info in self.tensors.items()}
        return {name: source.shape(shapes) for name, source in self.sources.items()}

    def info(self, config: Sd3Config) -> PartInfo:
        """Size and type of what a transformer of these sizes is made of."""
        used = [part for name in expected_shapes(config) for part in self.sources[name].names]
        return part_info(TRANSFORMER, self.prefix, [self.tensors[name] for name in used])

    def open(self, opened: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The network's tensors under their original names, each made when asked for.

        Args:
            opened: The tensors of the checkpoint.
        """
        sources = {
            name: Source(tuple(self.prefix + part for part in source.names), source.halves_swapped)
            for name, source in self.sources.items()
            if name != POSITIONS
        }
        return MadeTensors(opened, sources)

    def positions(self, opened: Mapping[str, Tensor]) -> Tensor:
        """The table of positions [1, side², D], which is no part of the network."""
        (name,) = self.sources[POSITIONS].names
        return opened[self.prefix + name]

    @property
    def _in_diffusers_layout(self) -> bool:
        return diffusers_keys.is_diffusers_sd3(self.tensors)


def find_transformer(header: CheckpointHeader) -> StoredTransformer | None:
    """Where in the checkpoint an SD3 transformer is, if it holds one."""
    for prefix in PREFIXES:
        tensors = under(prefix, header.tensors)
        if _is_sd3(tensors) and _diffusers_class(header) == _DIFFUSERS_CLASS:
            return StoredTransformer(prefix, tensors if prefix else _without_parts(header))
    return None


def _is_sd3(names: Mapping[str, TensorInfo]) -> bool:
    known = diffusers_keys.is_diffusers_sd3(names) or _is_original_sd3(names)
    return known and not any(name.startswith(_RELATIVES) for name in names)


def _is_original_sd3(names: Mapping[str, TensorInfo]) -> bool:
    """Of what is its own, any two: so that the third is told as missing."""
    own = ("joint_blocks.0.x_block.attn.qkv.weight", "x_embedder.proj.weight", "context_embedder.weight")
    return sum(name in names for name in own) >= 2


def _diffusers_class(header: CheckpointHeader) -> str:
    """The class that a diffusers folder names; files name none, and are judged by their tensors alone."""
    return str(header.configs.get(TRANSFORMER, {}).get("_class_name", _DIFFUSERS_CLASS))


def _without_parts(header: CheckpointHeader) -> dict[str, TensorInfo]:
    """A file's tensors but those of text encoders and autoencoders, where no prefix tells them apart."""
    parts = tuple(part.prefix for part in recognise(header) if part.prefix)
    return {name: info for name, info in header.tensors.items() if not name.startswith(parts)}
