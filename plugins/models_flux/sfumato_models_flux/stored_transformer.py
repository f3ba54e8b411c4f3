"""Where in a checkpoint a transformer of Flux's layout lies, and under which names. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader, PartInfo, TensorInfo
from sfumato_models_flux import diffusers_keys
from sfumato_networks.made_tensors import MadeTensors, Shape, Source
from sfumato_networks.parts import part_info, recognise, under

if TYPE_CHECKING:
    from torch import Tensor

TRANSFORMER = "transformer"
PREFIXES = ("", "model.diffusion_model.", "transformer/")
"""Before the transformer's names: Black Forest Labs' files, ComfyUI's and Forge's, diffusers folders."""

_DIFFUSERS_CLASS = "FluxTransformer2DModel"
_RELATIVES = (
    "distilled_guidance_layer.",  # Chroma
    "double_stream_modulation_img.",  # Flux.2
    "txt_in.individual_token_refiner.",  # HunyuanVideo
    "connector.",  # Step1X-Edit
    "controlnet_",
    "input_hint_block.",  # ControlNets
)
_PARTS_WITHOUT_PREFIX = ("text_model.", "text_projection.", "logit_scale", "shared.", "encoder.", "decoder.")


@dataclass(frozen=True)
class StoredTransformer:
    """The transformer's tensors in a checkpoint, under the names they are stored with, less the prefix."""

    prefix: str
    tensors: Mapping[str, TensorInfo]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """What each tensor of the original layout is made of; what has no place in it under its own name."""
        if not diffusers_keys.is_diffusers_layout(self.tensors):
            return {_original_name(name): Source((name,)) for name in self.tensors}
        sources = diffusers_keys.sources(self.tensors)
        used = {name for source in sources.values() for name in source.names}
        return sources | {name: Source((name,)) for name in self.tensors if name not in used}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shapes under the original names; ValueError names a tensor that cannot be stacked with others."""
        shapes = {name: info.shape for name, info in self.tensors.items()}
        return {name: source.shape(shapes) for name, source in self.sources.items()}

    def info(self, names: Iterable[str]) -> PartInfo:
        """Size and type of what the tensors of these names in the original layout are made of."""
        used = [part for name in names for part in self.sources[name].names]
        return part_info(TRANSFORMER, self.prefix, [self.tensors[name] for name in used])

    def open(self, opened: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors under their original names, from the opened checkpoint, each made when asked for."""
        sources = {
            name: Source(tuple(self.prefix + part for part in source.names), source.halves_swapped)
            for name, source in self.sources.items()
        }
        return MadeTensors(opened, sources)


def find_transformer(header: CheckpointHeader) -> StoredTransformer | None:
    """Where in the checkpoint a Flux transformer is, if it holds one."""
    return find_transformer_like(header, _is_flux, _DIFFUSERS_CLASS)


def find_transformer_like(
    header: CheckpointHeader, is_one: Callable[[Collection[str]], bool], diffusers_class: str
) -> StoredTransformer | None:
    """Where in the checkpoint a transformer is whose names, less a prefix, are judged to be of one kind.

    A diffusers folder must name this class for it; files name none, and are judged by their tensors alone.
    """
    if header.configs.get(TRANSFORMER, {}).get("_class_name", diffusers_class) != diffusers_class:
        return None
    for prefix in PREFIXES:
        tensors = under(prefix, header.tensors)
        if is_one(tensors):
            return StoredTransformer(prefix, tensors if prefix else _without_parts(header))
    return None


def _is_flux(names: Collection[str]) -> bool:
    known = diffusers_keys.is_diffusers_flux(names) or _is_original_flux(names)
    return known and not any(name.startswith(_RELATIVES) for name in names)


def _is_original_flux(names: Collection[str]) -> bool:
    """Modulations inside the blocks and a pooled text set Flux.1 apart from its relatives."""
    modulated = (
        "double_blocks.0.img_mod.lin.weight" in names or "single_blocks.0.modulation.lin.weight" in names
    )
    embedded = "img_in.weight" in names or "txt_in.weight" in names
    return modulated and embedded and any(name.startswith("vector_in.") for name in names)


def _without_parts(header: CheckpointHeader) -> dict[str, TensorInfo]:
    """A file's tensors but those of text encoders and autoencoders, where no prefix tells them apart."""
    parts = (*_PARTS_WITHOUT_PREFIX, *(part.prefix for part in recognise(header) if part.prefix))
    return {name: info for name, info in header.tensors.items() if not name.startswith(parts)}


def _original_name(name: str) -> str:
    """Newer ComfyUI saves the norms' scales as ``weight``."""
    return re.sub(r"\b(query_norm|key_norm)\.weight$", r"\1.scale", name)
